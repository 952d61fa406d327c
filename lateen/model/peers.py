"""Which connections workloads take: with the mesh's mutual TLS, without, or both."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from lateen.api.objects import ConfigObject, ObjectKey
from lateen.api.security.peer_authentication import MutualTlsMode, PeerAuthentication

_Policies = tuple[ConfigObject[PeerAuthentication], ...]


class PeerMode(StrEnum):
    """DISABLE: the mesh's TLS is not taken. STRICT: nothing else is. PERMISSIVE: both are."""

    DISABLE = "DISABLE"
    PERMISSIVE = "PERMISSIVE"
    STRICT = "STRICT"


class PeerModes(NamedTuple):
    """What one workload takes: `mode` on all of its ports except those of `ports`, which are sorted."""

    mode: PeerMode = PeerMode.PERMISSIVE
    ports: tuple[tuple[int, PeerMode], ...] = ()

    def of(self, port: int) -> PeerMode:
        """Return what is taken on a port of the workload."""
        return dict(self.ports).get(port, self.mode)


ALL_TAKEN = PeerModes()


class _Namespace(NamedTuple):
    """What is written in a namespace: for all of it, and for single workloads, oldest first."""

    whole: ConfigObject[PeerAuthentication] | None = None
    selecting: _Policies = ()


_NOTHING = _Namespace()


@dataclass(frozen=True, slots=True)
class PeerPolicies:
    """All PeerAuthentications, ready to be asked. Of several with one scope only the oldest counts, as in Istio."""

    root_namespace: str = ""
    by_namespace: Mapping[str, _Namespace] = field(default_factory=dict)

    def of(self, namespace: str, labels: Mapping[str, str]) -> PeerModes:
        """Settle what a workload takes: the narrower scope replaces the wider one unless it is UNSET."""
        mode, written = PeerMode.PERMISSIVE, {}
        for item in self._scopes(namespace, labels):
            mode = _settled(item.spec.mode, mode)
            written = dict(item.spec.port_level_mtls)
        ports = {port: _settled(setting.mode, mode) for port, setting in written.items()}
        return PeerModes(mode, tuple(sorted((port, own) for port, own in ports.items() if own is not mode)))

    def deciding(self, namespace: str, labels: Mapping[str, str], port: int) -> ObjectKey | None:
        """Name the object that decides what a workload takes on a port; None where nobody wrote anything."""
        decides = None
        for item in self._scopes(namespace, labels):
            on_port = item.spec.port_level_mtls.get(port)
            modes = (item.spec.mode, on_port.mode if on_port else MutualTlsMode.UNSET)
            if any(mode is not MutualTlsMode.UNSET for mode in modes):
                decides = item.key
        return decides

    def same_in(self, namespace: str, other: "PeerPolicies") -> bool:
        """Tell whether the same is written for a namespace here and there."""
        return (self._in(namespace), self._mesh) == (other._in(namespace), other._mesh)

    def _scopes(self, namespace: str, labels: Mapping[str, str]) -> Iterator[ConfigObject[PeerAuthentication]]:
        """Yield what is written for a workload, the widest scope first."""
        if not self.by_namespace:
            return
        if self._mesh is not None:
            yield self._mesh
        whole, selecting = self._in(namespace)
        if whole is not None and namespace != self.root_namespace:
            yield whole
        for item in selecting:
            if item.spec.selector is not None and item.spec.selector.match_labels.items() <= labels.items():
                yield item
                return

    @property
    def _mesh(self) -> ConfigObject[PeerAuthentication] | None:
        return self._in(self.root_namespace).whole

    def _in(self, namespace: str) -> _Namespace:
        return self.by_namespace.get(namespace, _NOTHING)


def peer_policies(oldest_first: Iterable[ConfigObject[PeerAuthentication]], root_namespace: str) -> PeerPolicies:
    """Index PeerAuthentications, which come oldest first."""
    found: dict[str, _Namespace] = {}
    for item in oldest_first:
        whole, selecting = found.get(item.namespace, _NOTHING)
        if item.spec.selects:
            found[item.namespace] = _Namespace(whole, (*selecting, item))
        else:
            found[item.namespace] = _Namespace(whole or item, selecting)
    return PeerPolicies(root_namespace, found)


def _settled(written: MutualTlsMode, wider: PeerMode) -> PeerMode:
    return wider if written is MutualTlsMode.UNSET else PeerMode(written.value)
