"""The control plane's doors with the wrong and the right key: who is let in, as whom, and what the others get."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import grpc.aio
import pytest
from envoy.service.discovery.v3 import discovery_pb2
from open_door import CLASS, OpenDoor

from lateen import names
from lateen.auth import keys, requests, tokens
from lateen.auth.attestation import Attested, CertificateAttestor, TokenAttestor
from lateen.auth.authority import Authority
from lateen.auth.credentials import Credentials
from lateen.auth.rotation import Rotation
from lateen.auth.tokens import SharedSecret, SpentTokens, TokenClaims, TokenVerifier
from lateen.auth.trust import Root, TrustDomain, certificate_pem
from lateen.errors import NotPermitted
from lateen.manager.ports import NodeIdentity
from lateen.manager.pushes import Connection, Outlet, Pushes
from lateen.model.workload import WorkloadKey
from lateen.names import Identity
from lateen.serving import api, certificates
from lateen.serving.door_tls import DoorTls
from lateen.serving.xds import DiscoveryServer
from lateen.xds import order
from tests.auth.authorities import RATINGS, REVIEWS, Memory
from tests.auth.authorities import issuer as make_issuer
from tests.serving.identity import CONTROL_PLANE, OWNER, authority, credentials
from tests.serving.small_mesh import SmallMesh

PATH = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
CREATE = "/istio.v1.auth.IstioCertificateService/CreateCertificate"
LIMIT_SECONDS = 10
CA = authority()
FOREIGN = authority()
# a workload may run as any account, also as one of ours
IMPOSTOR = Attested(CONTROL_PLANE.identity, "impostor")


class NamedDoor(OpenDoor):
    """Lets proxies in whose node id is that of their own workload, as the control loop does."""

    def connect(self, node: NodeIdentity, outlet: Outlet, peer: WorkloadKey | None = None) -> Connection:
        if str(peer) != node.id:
            raise NotPermitted(f"{peer} says that it is {node.id}")
        return super().connect(node, outlet, peer)


@dataclass
class Doors:
    """Where proxies and newcomers are let in."""

    tls: DoorTls
    pushes: Pushes
    xds: Path

    async def knock(self, node: str, shown: Credentials | None, host: str = names.CONTROL_PLANE_HOST) -> str:
        """Open a stream as a node; return `in`, or the status and words with which one is turned away."""
        target = f"unix:{self.xds}"
        if shown is None:
            return await _knock(grpc.aio.insecure_channel(target), node)
        return await _knock(_channel(target, shown, host), node)


def _channel(target: str, shown: Credentials, host: str = names.CONTROL_PLANE_HOST) -> grpc.aio.Channel:
    trusted = grpc.ssl_channel_credentials(shown.bundle.pem.encode(), shown.key_pem, shown.chain_pem.encode())
    return grpc.aio.secure_channel(target, trusted, [("grpc.ssl_target_name_override", host)])


async def _knock(channel: grpc.aio.Channel, node: str) -> str:
    async with channel:
        call = channel.stream_stream(PATH)(timeout=LIMIT_SECONDS)
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=order.CLUSTER)
        request.node.id = node
        try:
            await call.write(request.SerializeToString())
            return (
                "in" if isinstance(await call.read(), bytes) else f"{(await call.code()).name}: {await call.details()}"
            )
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
        except asyncio.InvalidStateError:
            return f"{(await call.code()).name}: {await call.details()}"


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    tls, pushes = DoorTls(credentials(CA, CONTROL_PLANE)), Pushes()
    pushes.publish(CLASS, {}, 1)
    server = DiscoveryServer(NamedDoor(pushes), tls.mutual())
    await server.start(tmp_path / "xds.sock")
    yield Doors(tls, pushes, tmp_path / "xds.sock")
    await server.stop()


async def test_a_proxy_gets_in_as_its_own_workload(doors: Doors) -> None:
    assert await doors.knock(REVIEWS.subject, credentials(CA, REVIEWS)) == "in"


async def test_a_stolen_node_id_is_refused(doors: Doors) -> None:
    said = await doors.knock(RATINGS.subject, credentials(CA, REVIEWS))
    assert said == f"PERMISSION_DENIED: {REVIEWS.subject} says that it is {RATINGS.subject}"


async def test_plaintext_gets_nothing(doors: Doors) -> None:
    assert (await doors.knock(REVIEWS.subject, None)).startswith("UNAVAILABLE")
    assert not doors.pushes.connections


async def test_another_authoritys_certificate_gets_nothing(doors: Doors) -> None:
    said = await doors.knock(REVIEWS.subject, credentials(FOREIGN, REVIEWS, CA))
    assert said.startswith("UNAVAILABLE")
    assert not doors.pushes.connections


async def test_tls_without_a_certificate_gets_nothing(doors: Doors) -> None:
    trusted = grpc.ssl_channel_credentials(credentials(CA, REVIEWS).bundle.pem.encode())
    options = [("grpc.ssl_target_name_override", names.CONTROL_PLANE_HOST)]
    said = await _knock(grpc.aio.secure_channel(f"unix:{doors.xds}", trusted, options), REVIEWS.subject)
    assert said.startswith("UNAVAILABLE")
    assert not doors.pushes.connections


@pytest.mark.parametrize("holder", [OWNER, CONTROL_PLANE], ids=["the owner", "the control plane"])
async def test_who_is_no_workload_is_refused(doors: Doors, holder: Attested) -> None:
    said = await doors.knock(REVIEWS.subject, credentials(CA, holder))
    assert said == f"PERMISSION_DENIED: {holder.identity} is no workload: its certificate names none"


async def test_a_proxy_does_not_take_a_workload_for_the_control_plane(tmp_path: Path) -> None:
    server = DiscoveryServer(OpenDoor(Pushes()), DoorTls(credentials(CA, IMPOSTOR)).mutual())
    await server.start(tmp_path / "xds.sock")
    said = await _knock(_channel(f"unix:{tmp_path / 'xds.sock'}", credentials(CA, REVIEWS)), REVIEWS.subject)
    assert said.startswith("UNAVAILABLE")
    await server.stop()


async def test_another_trust_domains_root_opens_nothing(doors: Doors) -> None:
    other = authority("other.example")
    mine = credentials(CA, CONTROL_PLANE)
    foreign = mine.bundle.with_roots([Root("other.example", certificate_pem(other.root))])
    doors.tls.take(replace(mine, bundle=foreign))
    stranger = replace(REVIEWS, identity=Identity("other.example", "default", "bookinfo-reviews"))
    assert (await doors.knock(REVIEWS.subject, credentials(other, stranger, CA))).startswith("UNAVAILABLE")


async def test_certificate_and_roots_are_exchanged_while_the_door_is_open(doors: Doors) -> None:
    new = authority()
    doors.tls.take(credentials(new, CONTROL_PLANE, CA))
    assert await doors.knock(REVIEWS.subject, credentials(CA, REVIEWS, new)) == "in"
    assert await doors.knock(RATINGS.subject, credentials(new, RATINGS)) == "in"
    doors.tls.take(credentials(new, CONTROL_PLANE))
    assert (await doors.knock(REVIEWS.subject, credentials(CA, REVIEWS, new))).startswith("UNAVAILABLE")


async def test_a_newcomer_needs_a_token_and_renews_with_its_certificate(tmp_path: Path) -> None:
    memory, secret = Memory(), SharedSecret(b"s" * 32)
    rotation = Rotation(TrustDomain(), CA)
    running = make_issuer(memory, lambda: datetime.now(UTC), rotation=rotation)  # type: ignore[arg-type]
    spent = SpentTokens(memory)
    running.believe(
        (
            CertificateAttestor(lambda: running.bundle),
            TokenAttestor(lambda: "cluster.local", TokenVerifier(secret), spent),
        )
    )
    tls = DoorTls(credentials(CA, CONTROL_PLANE))
    newcomers = await certificates.serve(running, tmp_path / "ca.sock", tls.one_sided())
    server = DiscoveryServer(NamedDoor(Pushes()), tls.mutual(), (certificates.certificate_service(running),))
    await server.start(tmp_path / "xds.sock")
    expires = datetime.now(UTC) + timedelta(hours=1)
    token = tokens.make_token(secret, TokenClaims("1", REVIEWS.identity, REVIEWS.workload, expires, "reviews", "v1"))
    key = keys.make_key()
    options = [("grpc.ssl_target_name_override", names.CONTROL_PLANE_HOST)]

    async def ask(channel: grpc.aio.Channel, account: Identity, *metadata: tuple[str, str]) -> tuple[str, ...]:
        csr = requests.certificate_request(key, account).decode()
        async with channel:
            answer = await channel.unary_unary(CREATE)(
                certificates.Request(csr=csr).SerializeToString(), metadata=metadata, timeout=LIMIT_SECONDS
            )
        return tuple(certificates.Response.FromString(answer).cert_chain)

    def newcomer() -> grpc.aio.Channel:
        root = grpc.ssl_channel_credentials(running.bundle.pem.encode())
        return grpc.aio.secure_channel(f"unix:{tmp_path / 'ca.sock'}", root, options)

    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(newcomer(), REVIEWS.identity)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    chain = await ask(newcomer(), REVIEWS.identity, ("authorization", f"Bearer {token}"))
    mine = credentials(CA, REVIEWS)
    mine = replace(mine, key_pem=keys.key_pem(key), certificate=replace(mine.certificate, chain=chain))
    renewed = await ask(_channel(f"unix:{tmp_path / 'xds.sock'}", mine), REVIEWS.identity)
    assert renewed[0] != chain[0]
    with pytest.raises(grpc.aio.AioRpcError) as foreign:
        await ask(_channel(f"unix:{tmp_path / 'xds.sock'}", mine), RATINGS.identity)
    assert foreign.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert str(RATINGS.identity) in (foreign.value.details() or "")
    await newcomers.stop(0)
    await server.stop()


class ApiDoor:
    """The API behind TLS."""

    def __init__(self, socket: Path, tls: DoorTls) -> None:
        self._socket = socket
        self.tls = tls

    async def ask(self, shown: Credentials, *, shows_it: bool = True) -> int:
        """Ask for the mesh; return the status, 0 where there is no answer."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(cadata=shown.bundle.pem)
        if shows_it:
            file = self._socket.with_suffix(".pem")
            file.write_bytes(shown.key_pem + shown.chain_pem.encode())
            context.load_cert_chain(file)
        host = names.CONTROL_PLANE_HOST
        try:
            reader, writer = await asyncio.open_unix_connection(self._socket, ssl=context, server_hostname=host)
            writer.write(f"GET /v1/mesh HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = await asyncio.wait_for(reader.readline(), LIMIT_SECONDS)
        except OSError:
            return 0
        writer.close()
        return int(answer.split()[1]) if answer else 0

    async def ask_in_plaintext(self) -> bytes:
        """Ask without TLS; return all that is answered."""
        reader, writer = await asyncio.open_unix_connection(self._socket)
        writer.write(b"GET /v1/mesh HTTP/1.1\r\nHost: lateen\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), LIMIT_SECONDS)
        writer.close()
        return answer


@pytest.fixture
async def api_door(tmp_path: Path) -> AsyncIterator[ApiDoor]:
    tls = DoorTls(credentials(CA, CONTROL_PLANE))
    runner = await api.serve(SmallMesh().api(), tmp_path / "api.sock", tls)
    yield ApiDoor(tmp_path / "api.sock", tls)
    await runner.cleanup()


async def test_the_owner_may_ask_and_a_workload_may_not(api_door: ApiDoor) -> None:
    assert await api_door.ask(credentials(CA, OWNER)) == 200
    assert await api_door.ask(credentials(CA, REVIEWS)) == 403
    assert await api_door.ask(credentials(CA, Attested(OWNER.identity, "impostor"))) == 403


@pytest.mark.parametrize(
    ("by", "shows_it"), [(CA, False), (FOREIGN, True)], ids=["no certificate", "another authority"]
)
async def test_nobody_else_gets_an_answer(api_door: ApiDoor, by: Authority, shows_it: bool) -> None:
    assert await api_door.ask(credentials(by, OWNER, CA), shows_it=shows_it) == 0


async def test_the_api_does_not_answer_plaintext(api_door: ApiDoor) -> None:
    assert b"HTTP" not in await api_door.ask_in_plaintext()


async def test_the_api_exchanges_its_certificate_while_it_answers(api_door: ApiDoor) -> None:
    new = authority()
    api_door.tls.take(credentials(new, CONTROL_PLANE, CA))
    assert await api_door.ask(credentials(CA, OWNER, new)) == 200
    assert await api_door.ask(credentials(new, OWNER)) == 200
    api_door.tls.take(credentials(new, CONTROL_PLANE))
    assert await api_door.ask(credentials(CA, OWNER, new)) == 0
