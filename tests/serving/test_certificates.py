"""The certificate service over real TLS, asked as Istio's agents ask it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import grpc.aio
import pytest
from cryptography import x509
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from lateen.auth import keys, requests, tokens
from lateen.auth.attestation import CertificateAttestor, LocalAttestor, TokenAttestor
from lateen.auth.certificate import Certificate
from lateen.auth.issuer import Issuer
from lateen.auth.keys import Key
from lateen.auth.plugged_in import plugged_in
from lateen.auth.rotation import Rotation
from lateen.auth.tokens import SharedSecret, SpentTokens, TokenClaims, TokenVerifier
from lateen.auth.trust import TrustDomain
from lateen.errors import ProtocolError
from lateen.serving import certificates
from lateen.serving.certificates import Request, Response
from tests.auth.authorities import (
    CONTROL_PLANE,
    KEY,
    NOW,
    RATINGS,
    REVIEWS,
    Clock,
    Memory,
    by_hand,
    certify,
    files,
    own,
)
from tests.auth.authorities import issuer as make_issuer

TODAY = datetime.now(UTC)
SECRET = SharedSecret(b"s" * 32)
CLAIMS = TokenClaims("1", REVIEWS.identity, REVIEWS.workload, TODAY + timedelta(hours=1), "reviews", "v1")
CSR = requests.certificate_request(KEY, REVIEWS.identity)


@dataclass
class Door:
    """A server that asks for client certificates, and one that does not; both of the same authority."""

    issuer: Issuer
    clock: Clock
    memory: Memory
    mutual: int
    plain: int

    async def ask(self, *, client: Certificate | None = None, key: Key = KEY, data: bytes, token: str = "") -> bytes:
        """Send one request and return the answer's bytes."""
        credentials = grpc.ssl_channel_credentials(
            self.issuer.bundle.pem.encode(),
            keys.key_pem(key) if client else None,
            client.leaf_and_intermediates.encode() if client else None,
        )
        options = [("grpc.ssl_target_name_override", CONTROL_PLANE.hosts[0])]
        address = f"127.0.0.1:{self.mutual if client else self.plain}"
        async with grpc.aio.secure_channel(address, credentials, options) as channel:
            call = channel.unary_unary("/istio.v1.auth.IstioCertificateService/CreateCertificate")
            metadata = [("authorization", f"Bearer {token}")] if token else []
            answer: bytes = await call(data, metadata=metadata, timeout=10)
            return answer


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    memory, clock = Memory(), Clock(TODAY)
    running = make_issuer(memory, clock, rotation=Rotation(TrustDomain(), own(now=TODAY - timedelta(days=1))))
    running.believe(
        (
            LocalAttestor(lambda _: CONTROL_PLANE),
            CertificateAttestor(lambda: running.bundle),
            TokenAttestor(lambda: "cluster.local", TokenVerifier(SECRET), SpentTokens(memory)),
        )
    )
    own_certificate = certify(running.rotation.current, CONTROL_PLANE, now=TODAY)
    pair = (keys.key_pem(KEY), own_certificate.leaf_and_intermediates.encode())
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((certificates.certificate_service(running),))
    roots = running.bundle.pem.encode()
    mutual = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair], roots, True))
    plain = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    yield Door(running, clock, memory, mutual, plain)
    await server.stop(0)


def request(csr: bytes = CSR, seconds: int = 0) -> bytes:
    data: bytes = Request(csr=csr.decode(), validity_duration=seconds).SerializeToString()
    return data


def token(**changes: Any) -> str:
    return tokens.make_token(SECRET, replace(CLAIMS, **changes))


def chain_of(answer: bytes) -> list[x509.Certificate]:
    return [x509.load_pem_x509_certificate(pem.encode()) for pem in Response.FromString(answer).cert_chain]


async def test_a_token_gets_the_first_certificate_and_that_gets_the_next(door: Door) -> None:
    leaf, root = chain_of(await door.ask(token=token(), data=request(seconds=3600)))
    assert root == door.issuer.rotation.current.root
    assert leaf.not_valid_after_utc == (TODAY + timedelta(hours=1)).replace(microsecond=0)
    first = Certificate((pem_of(leaf), pem_of(root)), door.issuer.issued()[0])
    renewed, _ = chain_of(await door.ask(client=first, data=request(requests.certificate_request(keys.make_key()))))
    san = x509.SubjectAlternativeName
    assert renewed.extensions.get_extension_for_class(san) == leaf.extensions.get_extension_for_class(san)
    assert [each.workload for each in door.issuer.issued()] == [REVIEWS.subject] * 2


def pem_of(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


async def test_the_whole_message_of_istio_is_understood(door: Door) -> None:
    """Field 4 is `metadata`, a Struct: it is passed over, whatever it asks for."""
    metadata = struct_pb2.Struct()
    metadata.update({"CertSigner": "x", "ImpersonatedIdentity": str(RATINGS.identity)})
    body = metadata.SerializeToString()
    leaf, _ = chain_of(await door.ask(token=token(), data=request() + b"\x22" + bytes([len(body)]) + body))
    uris = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert uris.get_values_for_type(x509.UniformResourceIdentifier) == [str(REVIEWS.identity)]


def test_the_wire_is_istios() -> None:
    assert Request(csr="ab", validity_duration=5).SerializeToString() == b"\x0a\x02ab\x18\x05"
    assert Response(cert_chain=["a", "b"]).SerializeToString() == b"\x0a\x01a\x0a\x01b"


UNAUTHENTICATED, DENIED = grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED
INVALID, UNAVAILABLE = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAVAILABLE
FOREIGN = requests.certificate_request(KEY, RATINGS.identity)

REFUSALS: dict[str, tuple[dict[str, Any], grpc.StatusCode, str]] = {
    "nobody": ({}, UNAUTHENTICATED, "nothing proves who asks: show a certificate of this mesh or a bootstrap token"),
    "a wrong token": ({"token": "x.y"}, UNAUTHENTICATED, "the bootstrap token is not signed by this mesh"),
    "an expired token": ({"token": token(expires=TODAY)}, UNAUTHENTICATED, "the bootstrap token has expired on"),
    "a foreign identity": ({"token": token(), "data": request(FOREIGN)}, DENIED, "it may have its own only"),
    "no request": ({"token": token(), "data": request(b"hello")}, INVALID, "send PKCS #10 in PEM"),
    "another message": ({"token": token(), "data": b"\xff"}, INVALID, "request is not an istio.v1.auth.Istio"),
    "no UTF-8": ({"token": token(), "data": b"\x0a\x01\xff"}, INVALID, "request is not an istio.v1.auth.Istio"),
    "nothing at all": ({"token": token(), "data": b""}, INVALID, "send PKCS #10 in PEM"),
}


@pytest.mark.parametrize(("how", "status", "message"), REFUSALS.values(), ids=REFUSALS.keys())
async def test_refusals(door: Door, how: dict[str, Any], status: grpc.StatusCode, message: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await door.ask(**{"data": request(), **how})
    assert refused.value.code() == status
    assert message in (refused.value.details() or "")
    assert not door.issuer.issued()


async def test_a_token_works_once(door: Door) -> None:
    await door.ask(token=token(), data=request())
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await door.ask(token=token(), data=request())
    assert (refused.value.code(), refused.value.details()) == (
        UNAUTHENTICATED,
        "the bootstrap token has been used before; ask for a new one",
    )


async def test_an_authority_out_of_time_says_to_try_again_later(door: Door) -> None:
    door.clock.now = TODAY - timedelta(days=2)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await door.ask(token=token(), data=request())
    assert refused.value.code() == UNAVAILABLE


async def test_a_certificate_renews_itself_only(door: Door) -> None:
    client = certify(door.issuer.rotation.current, REVIEWS, now=TODAY)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await door.ask(client=client, data=request(FOREIGN))
    assert refused.value.code() == DENIED


@pytest.mark.parametrize("age", [timedelta(hours=-1), timedelta(hours=30)])
async def test_a_certificate_out_of_time_renews_nothing(door: Door, age: timedelta) -> None:
    """The transport believes the clock of the machine; the authority looks again with its own."""
    client = certify(door.issuer.rotation.current, REVIEWS, now=TODAY)
    door.clock.now = TODAY + age
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await door.ask(client=client, data=request())
    assert refused.value.code() == UNAUTHENTICATED


async def test_a_certificate_below_an_intermediate_renews_itself(door: Door) -> None:
    """The connection tells the whole chain that was shown, not the leaf alone."""
    root = by_hand("root", begin=timedelta(0), end=timedelta(days=9999))
    plugged = plugged_in(files(by_hand("lower", root, begin=timedelta(0), end=timedelta(days=9999)), root=root), NOW)
    mesh = Door(make_issuer(rotation=Rotation(TrustDomain(), plugged), clock=door.clock), door.clock, door.memory, 0, 0)
    mesh.issuer.believe((CertificateAttestor(lambda: mesh.issuer.bundle),))
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((certificates.certificate_service(mesh.issuer),))
    own_certificate = certify(plugged, CONTROL_PLANE, now=TODAY)
    pair = (keys.key_pem(KEY), own_certificate.leaf_and_intermediates.encode())
    credentials = grpc.ssl_server_credentials([pair], mesh.issuer.bundle.pem.encode(), True)
    mesh.mutual = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    answer = await mesh.ask(client=certify(plugged, REVIEWS, now=TODAY), data=request())
    assert chain_of(answer)[1:] == list(plugged.above_leaf)
    await server.stop(0)


async def test_a_certificate_of_another_mesh_does_not_even_connect(door: Door) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await door.ask(client=certify(own(now=TODAY), REVIEWS, now=TODAY), data=request())
    assert refused.value.code() == UNAVAILABLE


async def test_nobody_reaches_the_local_method_from_outside(door: Door) -> None:
    """The local method would believe anything here; no request can be made to speak to it."""
    evidence = certificates.evidence_of([("started", "x"), ("authorization", "Basic x")], {})
    assert (evidence.started, evidence.token, evidence.chain) == ("", "", ())


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_scheme_of_the_token_is_read_in_any_case(scheme: str) -> None:
    assert certificates.evidence_of([("authorization", f"{scheme} abc")], {}).token == "abc"


def test_a_connection_that_shows_garbage_shows_nothing() -> None:
    assert certificates.peer_chain({"x509_pem_cert": [b"garbage"]}) == ()


@given(st.binary(max_size=200))
def test_random_bytes_are_a_request_or_refused(data: bytes) -> None:
    try:
        csr, lifetime = certificates.read_request(data)
    except ProtocolError:
        return
    assert isinstance(csr, bytes)
    assert lifetime is None or lifetime > timedelta(0)


@pytest.mark.parametrize(("seconds", "lifetime"), [(0, None), (-5, None), (60, 60), (2**63 - 1, 10 * 365 * 86400)])
def test_any_duration_is_understood(seconds: int, lifetime: int | None) -> None:
    expected = None if lifetime is None else timedelta(seconds=lifetime)
    assert certificates.read_request(request(seconds=seconds))[1] == expected
