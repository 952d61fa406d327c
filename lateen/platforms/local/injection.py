"""Whether a pod gets a sidecar, is a gateway, or runs bare, and which of its traffic is taken. Pure.

Labels and annotations are Istio's. A pod gets a sidecar unless it or its namespace says no.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from lateen.model.proxy import Role
from lateen.platforms.local.protocol import Interception

INJECT: Final = "sidecar.istio.io/inject"
TEMPLATES: Final = "inject.istio.io/templates"
NAMESPACE_INJECTION: Final = "istio-injection"
PROXY_IMAGE: Final = "auto"
PROXY_CONTAINER: Final = "istio-proxy"
_TRAFFIC: Final = "traffic.sidecar.istio.io/"

Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Injection:
    """How a pod takes part in the mesh: the role of its proxy, None without one, and what is taken from the pod."""

    role: Role | None
    interception: Interception | None = None
    problems: tuple[str, ...] = ()


def choose_injection(labels: Texts, annotations: Texts, namespace_labels: Texts) -> Injection:
    """Decide from a pod's labels and annotations and its namespace's labels."""
    if "gateway" in _words(annotations.get(TEMPLATES) or labels.get(TEMPLATES, "")):
        return Injection(Role.GATEWAY)
    wish = (labels.get(INJECT) or annotations.get(INJECT, "")).lower()
    refused_by_namespace = namespace_labels.get(NAMESPACE_INJECTION, "").lower() == "disabled"
    if wish == "false" or (refused_by_namespace and wish != "true"):
        return Injection(None)
    interception, problems = read_interception(annotations)
    return Injection(Role.SIDECAR, interception, problems)


def read_interception(annotations: Texts) -> tuple[Interception, tuple[str, ...]]:
    """Read the traffic annotations; what cannot be read is left at its default and named in the problems."""
    reader = _Reader(annotations)
    interception = Interception(
        include_inbound_ports=reader.ports_or_all("includeInboundPorts"),
        exclude_inbound_ports=reader.ports("excludeInboundPorts"),
        include_outbound_ports=reader.ports("includeOutboundPorts"),
        exclude_outbound_ports=reader.ports("excludeOutboundPorts"),
        include_outbound_ip_ranges=reader.ranges_or_all("includeOutboundIPRanges"),
        exclude_outbound_ip_ranges=reader.ranges("excludeOutboundIPRanges"),
    )
    return interception, tuple(reader.problems)


def takes_all(role: Role | None, annotations: Texts) -> bool:
    """Tell whether a pod's sidecar takes all its outbound connections."""
    interception, _ = read_interception(annotations)
    has_exceptions = (
        interception.exclude_outbound_ports
        or interception.exclude_outbound_ip_ranges
        or interception.include_outbound_ip_ranges is not None
    )
    return role is Role.SIDECAR and not has_exceptions


class _Reader:
    """Reads lists out of annotations and collects what is wrong with them."""

    def __init__(self, annotations: Texts) -> None:
        self._annotations = annotations
        self.problems: list[str] = []

    def ports_or_all(self, name: str) -> tuple[int, ...] | None:
        return None if self._is_all(name) else self.ports(name)

    def ports(self, name: str) -> tuple[int, ...]:
        return tuple(int(word) for word in self._words(name) if self._is_port(name, word))

    def ranges_or_all(self, name: str) -> tuple[str, ...] | None:
        return None if self._is_all(name) else self.ranges(name)

    def ranges(self, name: str) -> tuple[str, ...]:
        return tuple(word for word in self._words(name) if self._is_range(name, word))

    def _is_all(self, name: str) -> bool:
        """Tell whether everything is meant: the annotation is absent or `*`. An empty one means nothing."""
        return self._annotations.get(_TRAFFIC + name, "*").strip() == "*"

    def _words(self, name: str) -> tuple[str, ...]:
        return _words(self._annotations.get(_TRAFFIC + name, ""))

    def _is_port(self, name: str, word: str) -> bool:
        if word.isdecimal() and 0 < int(word) < 65536:
            return True
        self.problems.append(f"annotation {_TRAFFIC}{name}: {word!r} is not a port number")
        return False

    def _is_range(self, name: str, word: str) -> bool:
        try:
            IPv4Network(word, strict=False)
        except ValueError:
            self.problems.append(f"annotation {_TRAFFIC}{name}: {word!r} is not an IPv4 range like 10.0.0.0/8")
            return False
        return True


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())
