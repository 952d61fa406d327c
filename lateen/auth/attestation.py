"""How a caller proves which workload it is: a family of methods with one Protocol, tried in the order of their table.

What a method returns is all that a certificate will say: nothing that a caller merely claims gets into it.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from cryptography import x509

from lateen import names
from lateen.auth import trust
from lateen.auth.tokens import SpentTokens, TokenVerifier
from lateen.auth.trust import TrustBundle
from lateen.errors import NotPermitted, ProtocolError
from lateen.names import Identity, PeerName

_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
"""The form of a workload's name and of a server's host."""


@dataclass(frozen=True, slots=True)
class Attested:
    """What is known for sure about a caller, and hence what its certificate says.

    `workload` is empty for a holder that is no workload instance, such as the control plane; `hosts` are further DNS
    names that a server is called by. `owner` runs the instance, `service` and `revision` are its canonical ones.
    Raises `ProtocolError` for names that no certificate can carry.
    """

    identity: Identity
    workload: str = ""
    app: str = ""
    version: str = ""
    hosts: tuple[str, ...] = ()
    owner: str = ""
    service: str = ""
    revision: str = ""

    def __post_init__(self) -> None:
        if names.parse_identity(str(self.identity)) != self.identity:
            raise ProtocolError(f"{self.identity} is no identity: expected spiffe://TRUST-DOMAIN/ns/NS/sa/NAME")
        for each in (*((self.workload,) if self.workload else ()), *self.hosts):
            if not _HOST.fullmatch(each):
                raise ProtocolError(f"'{each}' is no name for a certificate: use lower-case letters, digits, - and .")
        if self.workload:
            self._complete()

    def _complete(self) -> None:
        """Let what nobody said follow from the rest, so that a certificate says all of it."""
        object.__setattr__(self, "owner", self.owner or self.workload)
        object.__setattr__(self, "service", self.service or self.app or self.owner)
        object.__setattr__(self, "revision", self.revision or self.version or names.LATEST)

    @property
    def subject(self) -> str:
        """The workload as people name it, `name.namespace`; empty if there is none."""
        return f"{self.workload}.{self.identity.namespace}" if self.workload else ""

    @property
    def dns_names(self) -> tuple[str, ...]:
        """The DNS names of its certificate."""
        if not self.workload:
            return self.hosts
        instance = names.instance_name(self.workload, self.identity.namespace)
        # Where only one name is looked at, it is the first: the one that tells most.
        return (*self.hosts, str(self.peer_name), instance)

    @property
    def peer_name(self) -> PeerName:
        """What telemetry is told about the workload."""
        return PeerName(self.owner, self.app, self.version, self.service, self.revision, self.workload)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a caller shows.

    `started` names a workload (`name.namespace`) that the asking node agent itself has started: doors that take
    requests from outside never set it. `token` is a bootstrap token; `chain` is the certificate of the caller's
    connection and those above it (DER, leaf first).
    """

    started: str = ""
    token: str = field(default="", repr=False)
    chain: tuple[bytes, ...] = ()


class Attestor(Protocol):
    """One way to prove who one is."""

    @property
    def method(self) -> str:
        """The name of its row in the table."""

    def attest(self, evidence: Evidence, now: datetime) -> Attested | None:
        """Return who has shown this; None when it is for another method.

        Raises `NotPermitted` when it is for this one and does not hold.
        """


class LocalAttestor:
    """Believes the node agent of this machine about the workloads that it started itself."""

    method: Final = "local"

    def __init__(self, started: Callable[[str], Attested | None]) -> None:
        self._started = started

    def attest(self, evidence: Evidence, now: datetime) -> Attested | None:
        """Look the workload up among those that run."""
        if not evidence.started:
            return None
        found = self._started(evidence.started)
        if found is None:
            raise NotPermitted(f"workload {evidence.started} was not started here")
        return found


class CertificateAttestor:
    """Renews: who holds a valid certificate of this mesh gets the next one, with the same names and no others."""

    method: Final = "certificate"

    def __init__(self, trusted: Callable[[], TrustBundle]) -> None:
        self._trusted = trusted

    def attest(self, evidence: Evidence, now: datetime) -> Attested | None:
        """Check the chain, and read the names that were attested before."""
        if not evidence.chain:
            return None
        trusted = self._trusted()
        leaf, identity = trust.verify_peer(evidence.chain, trusted, now)
        if identity.trust_domain != trusted.domain:
            raise NotPermitted(f"{identity} is of another trust domain; its own mesh renews it")
        return _read_back(identity, trust.alternative_names(leaf, x509.DNSName))


def _read_back(identity: Identity, dns_names: Iterable[str]) -> Attested:
    """Return what was attested when these names were put into a certificate."""
    instance, peer, hosts = None, None, []
    for name in dns_names:
        if found_instance := names.parse_instance_name(name):
            instance = found_instance
        elif found_peer := names.parse_peer_name(name):
            peer = found_peer
        else:
            hosts.append(name)
    if instance is None or peer is None:
        return Attested(identity, hosts=tuple(hosts))
    described = {"owner": peer.workload, "service": peer.service, "revision": peer.revision}
    return Attested(identity, instance[0], peer.app, peer.version, tuple(hosts), **described)


class TokenAttestor:
    """Takes a bootstrap token, once: for a machine that has nothing else yet."""

    method: Final = "token"

    def __init__(self, trust_domain: Callable[[], str], verifier: TokenVerifier, spent: SpentTokens) -> None:
        self._trust_domain = trust_domain
        self._verifier = verifier
        self._spent = spent

    def attest(self, evidence: Evidence, now: datetime) -> Attested | None:
        """Check the token, then use it up."""
        if not evidence.token:
            return None
        claims = self._verifier.verify(evidence.token, now)
        if claims.identity.trust_domain != (own := self._trust_domain()):
            raise NotPermitted(f"the token is for {claims.identity}, this mesh is {own}")
        self._spent.spend(claims.token_id, claims.expires, now)
        return Attested(claims.identity, claims.workload, claims.app, claims.version)


class Method(NamedTuple):
    """One row of the family."""

    name: str
    attestor: type[Attestor]
    summary: str


METHODS: Final = (
    Method("local", LocalAttestor, "the node agent of this machine started the workload itself"),
    Method("certificate", CertificateAttestor, "a valid certificate of the same identity, for its renewal"),
    Method("token", TokenAttestor, "a bootstrap token for one workload, used once"),
)


def attest(attestors: Iterable[Attestor], evidence: Evidence, now: datetime) -> Attested:
    """Return who has shown this evidence: the first method that it is for decides. Raises `NotPermitted`."""
    for attestor in attestors:
        if (attested := attestor.attest(evidence, now)) is not None:
            return attested
    raise NotPermitted("nothing proves who asks: show a certificate of this mesh or a bootstrap token")
