"""The labels of the standard metrics in one: a proxy keeps a series under one text, and whoever reads it gets them all.

Two dozen labels for each of four metrics are most of what telemetry costs a call. So a proxy writes the values one
after another, `KIND|OWN|PEER|…`, where OWN and PEER are the facts of both ends. What is empty is not known. The doors
for metrics write Istio's labels instead: `expand` here, and the same in Lua at the proxy's own port.
"""

import re
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from lateen.names import LATEST, UNKNOWN

TAG: Final = "lateen"
BETWEEN: Final = "|"
"""Stands in no host, identity or label."""
BETWEEN_FACTS: Final = ";"

FACTS: Final = ("workload", "service", "revision", "namespace", "app", "version", "cluster")
"""What is known of an end of a call, beside its principal."""
FACT_LABELS: Final = MappingProxyType(
    {"service": "canonical_service", "revision": "canonical_revision", "namespace": "workload_namespace"}
)

CALLER: Final = "source"
CALLEE: Final = "destination"
MUTUAL: Final = "destination-mtls"
"""Who tells: the calling proxy, or the called one of a connection without the mesh's TLS or with it."""

SERVICE: Final = ("destination_service", "destination_service_name", "destination_service_namespace")
TCP: Final = "tcp"
"""The protocol of connections, which have no status."""
PLACES: Final = 12
_TEXT: Final = re.compile(rf'(?<=[{{,]){TAG}="([^"]*)"')


def expand(page: str) -> str:
    """Return a page of metrics with Istio's labels in the place of each text."""
    return _TEXT.sub(lambda found: _expanded(found[1]), page)


def labels(text: str) -> dict[str, str]:
    """Return the labels that a text stands for; one of another form is a label by itself."""
    parts = text.split(BETWEEN)
    if len(parts) != PLACES:
        return {TAG: text}
    kind, own, peer, peer_principal, own_principal = parts[:5]
    is_caller = kind == CALLER
    near, far = ("source", "destination") if is_caller else ("destination", "source")
    found = {"reporter": CALLER if is_caller else CALLEE, **_end(near, own), **_end(far, peer)}
    found[f"{near}_principal"] = own_principal or UNKNOWN
    found[f"{far}_principal"] = peer_principal or UNKNOWN
    found.update(zip(SERVICE, _service(is_caller, own, parts[5:8]), strict=True))
    found.update(_outcome(parts[8:]))
    found["connection_security_policy"] = {CALLER: UNKNOWN, MUTUAL: "mutual_tls"}.get(kind, "none")
    return found


@lru_cache(maxsize=8192)
def _expanded(text: str) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels(text).items())


def _end(end: str, text: str) -> dict[str, str]:
    values = text.split(BETWEEN_FACTS) if text else [LATEST if fact == "revision" else UNKNOWN for fact in FACTS]
    return {f"{end}_{FACT_LABELS.get(fact, fact)}": value for fact, value in zip(FACTS, values, strict=False)}


def _service(is_caller: bool, own: str, said: list[str]) -> list[str]:
    """Return what the called service is called; a workload that is called by no service's name has its own."""
    if is_caller:
        return [part or UNKNOWN for part in said]
    facts = dict(zip(FACTS, own.split(BETWEEN_FACTS), strict=False))
    service, (host, name, _) = facts.get("service", UNKNOWN), said
    return [host or service, name or service, facts.get("namespace", UNKNOWN)]


def _outcome(said: list[str]) -> dict[str, str]:
    """Return how the call ended; a connection has no status."""
    protocol, code, grpc_status, flags = said
    statuses = {} if protocol == TCP else {"response_code": code, "grpc_response_status": grpc_status}
    return {"request_protocol": protocol, **statuses, "response_flags": flags}
