"""The labels of the standard metrics, with Istio's names and words: where Envoy has each of them from.

The calling proxy knows itself from its environment, and the callee from the endpoint that it chose. The called proxy
knows the caller from the certificate of the connection (see `peer_facts`), never from what a request claims.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from lateen.envoy.side import Side
from lateen.names import LATEST, MESH_CLUSTER, OWN_METADATA, UNKNOWN, peer_state
from lateen.plan import compact_labels
from lateen.plan.compact_labels import CALLEE, CALLER, FACT_LABELS, FACTS, MUTUAL


@dataclass(frozen=True, slots=True)
class TagText:
    """A label and its format; `empty` is what it says where the format comes to nothing.

    With `prefix`, it says `then` of values that begin so, and `empty` of all others.
    """

    name: str
    format: str
    empty: str = ""
    prefix: str = ""
    then: str = ""


@dataclass(frozen=True, slots=True)
class Vantage:
    """From where calls are seen: the side of the proxy, and whether they come with the mesh's TLS."""

    side: Side
    is_mutual: bool = False

    @property
    def is_callee(self) -> bool:
        """Whether the calls are those to the proxy's own workload."""
        return self.side is Side.INBOUND


HTTP: Final = "http"
GRPC: Final = "grpc"
GRPC_CONTENT: Final = "application/grpc"
_PROTOCOL: Final = TagText("request_protocol", "%REQ(CONTENT-TYPE)%", HTTP, GRPC_CONTENT, GRPC)
_OWN: Final = MappingProxyType(
    {
        "workload": "%ENVIRONMENT(WORKLOAD_NAME)%",
        "service": "%ENVIRONMENT(CANONICAL_SERVICE)%",
        "revision": "%ENVIRONMENT(CANONICAL_REVISION)%",
        "namespace": "%ENVIRONMENT(POD_NAMESPACE)%",
        "app": "%ENVIRONMENT(WORKLOAD_APP)%",
        "version": "%ENVIRONMENT(WORKLOAD_VERSION)%",
        "cluster": MESH_CLUSTER,
    }
)
_ENDPOINT: Final = MappingProxyType({fact: f"%METADATA(UPSTREAM_HOST:{OWN_METADATA}:{fact})%" for fact in FACTS})
_PEER: Final = MappingProxyType({fact: f"%FILTER_STATE({peer_state(fact)}:PLAIN)%" for fact in FACTS})
_NOBODY: Final = MappingProxyType({fact: LATEST if fact == "revision" else UNKNOWN for fact in FACTS})

Operators = tuple[tuple[str, str], ...]
_HOST: Final[Operators] = (("REQ", ":AUTHORITY"),)
_SELF: Final[Operators] = (("ENVIRONMENT", "CANONICAL_SERVICE"),)


def compact_request_tag(vantage: Vantage, protocol: str) -> TagText:
    """Return the labels of metrics of requests in one."""
    written = _HOST if vantage.side is Side.OUTBOUND else ()
    return TagText(compact_labels.TAG, _together(vantage, protocol, written, "%RESPONSE_CODE%", "%GRPC_STATUS_NUMBER%"))


def compact_connection_tag(vantage: Vantage) -> TagText:
    """Return the labels of metrics of connections in one."""
    return TagText(compact_labels.TAG, _together(vantage, compact_labels.TCP))


def request_tags(vantage: Vantage) -> tuple[TagText, ...]:
    """Return the labels of metrics of requests."""
    return (
        *_ends(vantage),
        *_service(vantage, _HOST if vantage.side is Side.OUTBOUND else ()),
        _PROTOCOL,
        TagText("response_code", "%RESPONSE_CODE%"),
        TagText("grpc_response_status", "%GRPC_STATUS_NUMBER%"),
        *_manner(vantage),
    )


def connection_tags(vantage: Vantage) -> tuple[TagText, ...]:
    """Return the labels of metrics of connections."""
    return (*_ends(vantage), *_service(vantage), TagText("request_protocol", compact_labels.TCP), *_manner(vantage))


def _together(vantage: Vantage, protocol: str, written: Operators = (), code: str = "", grpc_status: str = "") -> str:
    """Say all values one after another, as `compact_labels` reads them."""
    if vantage.is_callee:
        kind = MUTUAL if vantage.is_mutual else CALLEE
        peer = f"%FILTER_STATE({peer_state('all')}:PLAIN)%" if vantage.is_mutual else ""
        principals = ("%DOWNSTREAM_PEER_URI_SAN%", "%DOWNSTREAM_LOCAL_URI_SAN%") if vantage.is_mutual else ("", "")
    else:
        kind, peer = CALLER, f"%METADATA(UPSTREAM_HOST:{OWN_METADATA}:all)%"
        principals = ("%UPSTREAM_PEER_URI_SAN%", "%UPSTREAM_LOCAL_URI_SAN%")
    service = (_first((_of_cluster("host"), *written)), _first((_of_cluster("name"), *_blocked(written), *written)))
    namespace = "" if vantage.is_callee else _first((_of_cluster("namespace"),))
    ends = (kind, "%ENVIRONMENT(WORKLOAD_FACTS)%", peer, *principals)
    return compact_labels.BETWEEN.join((*ends, *service, namespace, protocol, code, grpc_status, "%RESPONSE_FLAGS%"))


def _ends(vantage: Vantage) -> Iterator[TagText]:
    """Yield who says so, and who calls whom."""
    yield TagText("reporter", "destination" if vantage.is_callee else "source")
    if vantage.is_callee:
        yield from _end("source", _PEER if vantage.is_mutual else _NOBODY)
        yield _principal("source", "%DOWNSTREAM_PEER_URI_SAN%" if vantage.is_mutual else "")
        yield from _end("destination", _OWN)
        yield _principal("destination", "%DOWNSTREAM_LOCAL_URI_SAN%" if vantage.is_mutual else "")
    else:
        yield from _end("source", _OWN)
        yield _principal("source", "%UPSTREAM_LOCAL_URI_SAN%")
        yield from _end("destination", _ENDPOINT)
        yield _principal("destination", "%UPSTREAM_PEER_URI_SAN%")


def _end(end: str, facts: Mapping[str, str]) -> Iterator[TagText]:
    for fact in FACTS:
        empty = _NOBODY[fact] if facts is _ENDPOINT else ""
        yield TagText(f"{end}_{FACT_LABELS.get(fact, fact)}", facts[fact], empty)


def _principal(end: str, format_text: str) -> TagText:
    return TagText(f"{end}_principal", format_text or UNKNOWN, UNKNOWN if format_text else "")


def _service(vantage: Vantage, written: Operators = ()) -> Iterator[TagText]:
    """Yield which service is called: that of the cluster, which is known beforehand for a workload's own ports.

    Where the cluster has none, it is what the client has `written`, or the workload itself.
    """
    otherwise = _SELF if vantage.is_callee else written
    yield TagText("destination_service", _first((_of_cluster("host"), *otherwise)), UNKNOWN)
    names = (_of_cluster("name"), *_blocked(written), *otherwise)
    yield TagText("destination_service_name", _first(names), UNKNOWN)
    if vantage.is_callee:
        yield TagText("destination_service_namespace", _OWN["namespace"])
    else:
        yield TagText("destination_service_namespace", _first((_of_cluster("namespace"),)), UNKNOWN)


def _blocked(written: Operators) -> Operators:
    """Say the name of what may not leave, which its route has."""
    return (("METADATA", f"ROUTE:{OWN_METADATA}:name"),) if written else ()


def _of_cluster(field: str) -> tuple[str, str]:
    return "METADATA", f"CLUSTER:{OWN_METADATA}:{field}"


def _first(operators: Operators) -> str:
    """Say the first of some operators that comes to something."""
    if len(operators) == 1:
        return "%{}({})%".format(*operators[0])
    said = [{"command": command, "param": parameter} for command, parameter in operators]
    return f"%COALESCE({json.dumps({'operators': said}, separators=(',', ':'))})%"


def _manner(vantage: Vantage) -> Iterator[TagText]:
    yield TagText("response_flags", "%RESPONSE_FLAGS%")
    own = "mutual_tls" if vantage.is_mutual else "none"
    yield TagText("connection_security_policy", own if vantage.is_callee else UNKNOWN)
