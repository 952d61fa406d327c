"""Secret discovery with a gRPC client of our own: what is sent, what counts as proof, and what never leaks."""

import asyncio
import logging
import stat
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from envoy.extensions.transport_sockets.tls.v3 import secret_pb2, tls_spiffe_validator_config_pb2
from envoy.service.discovery.v3 import discovery_pb2

from lateen.auth.rotation import Proof
from lateen.auth.trust import Root, certificate_pem
from lateen.serving.sds import METHOD, SERVICE, TYPE_URL, SecretServer
from tests.auth.authorities import REVIEWS
from tests.serving.identity import authority, credentials

LIMIT_SECONDS = 10
CA = authority()


class Client:
    """One stream about one secret, as Envoy opens it."""

    def __init__(self, socket: Path, name: str) -> None:
        self._name = name
        self._channel = grpc.aio.insecure_channel(f"unix:{socket}")
        self._call = self._channel.stream_stream(f"/{SERVICE}/{METHOD}")()

    async def ask(self, nonce: str = "", error: str = "") -> None:
        request = discovery_pb2.DiscoveryRequest(type_url=TYPE_URL, resource_names=[self._name], response_nonce=nonce)
        if error:
            request.error_detail.message = error
        await self._call.write(request.SerializeToString())

    async def read(self) -> tuple[Any, str]:
        """Return the secret, and the nonce to acknowledge it with."""
        data = await asyncio.wait_for(self._call.read(), LIMIT_SECONDS)
        response = discovery_pb2.DiscoveryResponse.FromString(data)
        (packed,) = response.resources
        return secret_pb2.Secret.FromString(packed.value), response.nonce

    async def is_silent(self) -> bool:
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(self._call.read())), 0.2)
        except TimeoutError:
            return True
        return False

    async def close(self) -> None:
        await self._channel.close()


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "w" / "sds.sock"


@pytest.fixture
async def server(socket: Path) -> AsyncIterator[SecretServer]:
    server = SecretServer(socket)
    await server.open()
    yield server
    await server.close()


async def until(condition: Any) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_proxy_that_comes_early_waits_for_its_certificate(server: SecretServer, socket: Path) -> None:
    client = Client(socket, "default")
    await client.ask()
    await asyncio.sleep(0.1)
    mine = credentials(CA, REVIEWS)
    server.offer(mine)
    secret, _ = await client.read()
    assert secret.name == "default"
    assert secret.tls_certificate.certificate_chain.inline_bytes == mine.chain_pem.encode()
    assert secret.tls_certificate.private_key.inline_bytes == mine.key_pem
    await client.close()


async def test_a_renewed_certificate_is_pushed_and_the_roots_are_not_sent_again(
    server: SecretServer, socket: Path
) -> None:
    server.offer(credentials(CA, REVIEWS))
    own, roots = Client(socket, "default"), Client(socket, "ROOTCA")
    for client in (own, roots):
        await client.ask()
    _, nonce = await own.read()
    _, roots_nonce = await roots.read()
    await own.ask(nonce)
    await roots.ask(roots_nonce)
    renewed = credentials(CA, REVIEWS)
    server.offer(renewed)
    secret, _ = await own.read()
    assert secret.tls_certificate.private_key.inline_bytes == renewed.key_pem
    assert await roots.is_silent()
    await own.close()
    await roots.close()


async def test_what_is_acknowledged_is_the_proof_and_what_is_refused_is_not(
    server: SecretServer, socket: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = credentials(CA, REVIEWS)
    server.offer(first)
    own, roots = Client(socket, "default"), Client(socket, "ROOTCA")
    for client in (own, roots):
        await client.ask()
    (_, own_nonce), (secret, roots_nonce) = await own.read(), await roots.read()
    assert secret.validation_context.trusted_ca.inline_bytes == first.bundle.pem.encode()
    assert server.proof == Proof()
    await own.ask(own_nonce)
    await roots.ask(roots_nonce)
    proven = Proof(first.bundle.digest, first.certificate.issued.signer)
    await until(lambda: server.proof == proven)
    server.offer(credentials(authority(), REVIEWS, CA))
    _, nonce = await roots.read()
    await roots.ask(nonce, "no such root")
    await until(lambda: "no such root" in caplog.text)
    await own.close()
    await roots.close()
    assert server.proof == proven, "it keeps what it had"


async def test_an_old_answer_proves_nothing(server: SecretServer, socket: Path) -> None:
    server.offer(credentials(CA, REVIEWS))
    client = Client(socket, "ROOTCA")
    await client.ask()
    _, first = await client.read()
    server.offer(newer := credentials(CA, REVIEWS, authority()))
    _, second = await client.read()
    await client.ask(first)
    await asyncio.sleep(0.05)
    assert server.proof == Proof()
    await client.ask(second)
    await until(lambda: server.proof.bundle == newer.bundle.digest)
    await client.close()


async def test_the_socket_is_its_users_only_and_goes_with_the_server(tmp_path: Path) -> None:
    server = SecretServer(tmp_path / "w" / "sds.sock")
    await server.open()
    assert stat.S_IMODE((tmp_path / "w" / "sds.sock").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "w").stat().st_mode) == 0o700
    await server.close()
    assert list((tmp_path / "w").iterdir()) == []


async def test_the_key_is_in_no_log_and_in_no_repr(
    server: SecretServer, socket: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    mine = credentials(CA, REVIEWS)
    server.offer(mine)
    client = Client(socket, "default")
    await client.ask()
    _, nonce = await client.read()
    await client.ask(nonce, "this is not for me")
    await until(lambda: "not for me" in caplog.text)
    assert "PRIVATE" not in caplog.text + repr(mine)
    await client.close()


async def test_garbage_ends_its_own_stream_only(server: SecretServer, socket: Path) -> None:
    async with grpc.aio.insecure_channel(f"unix:{socket}") as channel:
        call = channel.stream_stream(f"/{SERVICE}/{METHOD}")()
        await call.write(b"\xff\xff garbage")
        assert await asyncio.wait_for(call.code(), LIMIT_SECONDS) is grpc.StatusCode.INVALID_ARGUMENT
    await test_a_proxy_that_comes_early_waits_for_its_certificate(server, socket)


async def secret_of(socket: Path, name: str) -> tuple[Client, Any, str]:
    client = Client(socket, name)
    await client.ask()
    return client, *(await client.read())


async def test_each_trust_domain_has_its_own_roots_and_the_control_plane_only_ours(
    server: SecretServer, socket: Path
) -> None:
    partner = Root("partner.example", certificate_pem(authority("partner.example").root))
    mine = credentials(CA, REVIEWS)
    server.offer(replace(mine, bundle=mine.bundle.with_roots([partner])))
    (roots, secret, roots_nonce), (own, own_secret, own_nonce) = [
        await secret_of(socket, name) for name in ("ROOTCA", "OWNROOTCA")
    ]
    validator = secret.validation_context.custom_validator_config
    told = tls_spiffe_validator_config_pb2.SPIFFECertValidatorConfig.FromString(validator.typed_config.value)
    assert validator.name == "envoy.tls.cert_validator.spiffe"
    assert {one.name: one.trust_bundle.inline_bytes.decode() for one in told.trust_domains} == {
        "cluster.local": mine.bundle.pem,
        "partner.example": partner.pem,
    }
    assert not secret.validation_context.HasField("trusted_ca")
    assert own_secret.validation_context.trusted_ca.inline_bytes.decode() == mine.bundle.pem
    await own.ask(own_nonce)
    await roots.ask(roots_nonce)
    await until(lambda: server.proof.bundle == mine.bundle.with_roots([partner]).digest)
    await roots.close()
    await own.close()


async def test_a_bundle_counts_as_had_when_both_kinds_of_roots_were_taken(server: SecretServer, socket: Path) -> None:
    server.offer(credentials(CA, REVIEWS))
    clients = [await secret_of(socket, name) for name in ("ROOTCA", "OWNROOTCA")]
    (roots, _, roots_nonce), (own, _, own_nonce) = clients
    await roots.ask(roots_nonce)
    await asyncio.sleep(0.05)
    assert server.proof.bundle == "", "the other kind was asked for, and is not yet taken"
    await own.ask(own_nonce)
    await until(lambda: server.proof.bundle)
    server.offer(changed := credentials(CA, REVIEWS, authority()))
    _, nonce = await roots.read()
    await roots.ask(nonce)
    await until(lambda: server.proof.bundle == "")
    _, nonce = await own.read()
    await own.ask(nonce)
    await until(lambda: server.proof.bundle == changed.bundle.digest)
    await roots.close()
    await own.close()
