"""Why a call ended as a proxy has logged it: in a sentence, with what to look at and where that is written."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from lateen import names
from lateen.errors import ConfigRejected
from lateen.plan import decide
from lateen.plan.access_check import Place
from lateen.plan.access_check import explain as rule_place
from lateen.plan.explain import explanation, flags
from lateen.plan.explain.places import Places
from lateen.plan.explain.plans import Plans
from lateen.plan.explain.questions import Question
from lateen.plan.explain.records import Record
from lateen.plan.explain.steps import Explanation

_ABOUT_DESTINATION: Final = ("UH", "UO", "NC", "DF")
_REFUSED: Final = ("Connection_refused", "connection_refused", "Connection refused", "delayed_connect_error:_111")
_CERTIFICATE: Final = ("CERTIFICATE_VERIFY_FAILED", "verify SAN", "TLS_error", "TLS error")
_DETAIL: Final = re.compile(r"\{(?P<inner>[^}]*)\}")


@dataclass(frozen=True, slots=True)
class FlagTold:
    """A response flag with its meaning."""

    code: str
    name: str
    happened: str


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a call ended as it did. `places` are the objects and fields that took part, the most telling first."""

    says: str
    look: tuple[str, ...]
    request: str
    status: int
    flags: tuple[FlagTold, ...] = ()
    details: str = ""
    cluster: str = ""
    places: tuple[Place, ...] = ()
    notes: tuple[str, ...] = ()


def cause(plans: Plans, record: Record, workload: str, namespace: str) -> Cause:
    """Tell what happened to a call that the proxy of a workload has logged."""
    places = Places(plans.snapshot)
    told = flags.of(record.flags)
    way = _followed(plans, record, workload, namespace)
    says, look = _said(record, told)
    of_cluster = tuple(_of_cluster(plans, record, places))
    first = of_cluster if any(one.code in _ABOUT_DESTINATION for one in told) else ()
    found = [*_rules(plans, record), *first, *_on_the_way(way, record, told), *of_cluster]
    return Cause(
        says=says,
        look=tuple(look),
        request=_request(record),
        status=record.status,
        flags=tuple(FlagTold(one.code, one.name, one.happened) for one in told),
        details=record.details,
        cluster=record.cluster,
        places=tuple(dict.fromkeys(found)),
        notes=way.notes if way is not None else (),
    )


def _request(record: Record) -> str:
    return f"{record.method} {record.authority}{record.path}" if record.method else f"connection to {record.cluster}"


def _said(record: Record, told: tuple[flags.Flag, ...]) -> tuple[str, list[str]]:
    """Put into a sentence what the details say, else the flags."""
    where = _destination(record)
    for clue in _CLUES:
        if clue.fits(record):
            return _filled(clue.says, record), [clue.look]
    if told:
        happened = ", and ".join(one.happened for one in told)
        return f"{_answer(record)} by the proxy{where}: {happened}", [one.look for one in told]
    return f"{_answer(record)}{where}; the proxy gives no reason ({record.details or 'no details'})", []


def _filled(says: str, record: Record) -> str:
    return says.format(
        answer=_answer(record),
        where=_destination(record),
        rule=_rule(record),
        inner=_inner(record),
        authority=record.authority,
        upstream=record.upstream or "the endpoint",
        failure=record.transport_failure.replace("_", " ") or "no reason given",
    )


def _answer(record: Record) -> str:
    return str(record.status) if record.status else "the connection was ended"


def _destination(record: Record) -> str:
    parsed = names.parse_cluster(record.cluster)
    if parsed is None:
        return f" on the way to {record.cluster}" if record.cluster else ""
    if parsed.direction == "inbound":
        return f" in front of the workload's own port {parsed.port}"
    subset = f" subset {parsed.subset}" if parsed.subset else ""
    return f" on the way to {parsed.host} port {parsed.port}{subset}"


def _inner(record: Record) -> str:
    found = _DETAIL.search(record.details)
    return (found["inner"] if found else record.details).replace("_", " ")


def _has(*parts: str) -> Callable[[Record], bool]:
    def fits(record: Record) -> bool:
        text = f"{record.details} {record.transport_failure} {record.termination}"
        return any(part in text for part in parts)

    return fits


class _Clue(NamedTuple):
    """Something in a record that tells more than its flags; `says` is filled in from the record."""

    fits: Callable[[Record], bool]
    says: str
    look: str


_CLUES: Final = (
    _Clue(
        _has("rbac_access_denied"),
        "{answer}: an AuthorizationPolicy refuses it{rule}",
        "`lateen authz why WORKLOAD` and `lateen authz check FROM TO`",
    ),
    _Clue(
        _has("jwt_authn_access_denied"),
        "{answer}: its token is not accepted: {inner}",
        "the RequestAuthentication of the workload: issuer, audiences and keys",
    ),
    _Clue(
        _has("ext_authz_denied"),
        "{answer}: the external authorizer refused it",
        "the AuthorizationPolicy with action CUSTOM, and the authorizer's log",
    ),
    _Clue(
        _has("ext_authz_error"),
        "{answer}: the external authorizer could not be asked",
        "whether the provider of the CUSTOM AuthorizationPolicy runs and can be reached",
    ),
    _Clue(_has("fault_filter_abort"), "{answer} was made on purpose by a fault", "the rule's fault.abort"),
    _Clue(
        lambda record: record.details.startswith("direct_response") and record.route == names.BLOCK_ALL,
        "{answer}: {authority} is not in the mesh's registry, and outboundTrafficPolicy is REGISTRY_ONLY",
        "a ServiceEntry for the host, or a Sidecar's egress hosts that leave it out",
    ),
    _Clue(
        lambda record: record.details.startswith("direct_response"),
        "{answer}: the route answers itself; with 503 none of its destinations exists",
        "the rule's directResponse, or its destinations (`lateen analyze`)",
    ),
    _Clue(
        _has(*_REFUSED),
        "{answer}{where}: nobody listens on {upstream}",
        "whether the application listens on the Service's targetPort, on the pod's address and not only on localhost",
    ),
    _Clue(
        _has(*_CERTIFICATE),
        "{answer}{where}: TLS with the server failed: {failure}",
        "whether both sides agree on TLS: DestinationRule tls.mode, subjectAltNames and caCertificates, and the "
        "server's PeerAuthentication",
    ),
    _Clue(
        lambda record: record.details == "via_upstream" and not record.flags,
        "{answer} is the application's own answer{where}: the mesh only carried it",
        "the application's log (`lateen logs`)",
    ),
)


def _rule(record: Record) -> str:
    found = decide.parse_rule_name(record.details)
    return f", by rule {found.position} of {found.policy}.{found.namespace}" if found else ": no ALLOW rule matches"


def _followed(plans: Plans, record: Record, workload: str, namespace: str) -> Explanation | None:
    """Follow the logged request again through the proxy that logged it, as things are now."""
    if record.is_inbound or not record.method or not record.authority:
        return None
    reference = f"{workload}.{namespace}" if namespace else workload
    port = record.local_address.rpartition(":")[2]
    host, colon, written = record.authority.partition(":")
    url = f"http://{host}:{written if colon else port or 80}{record.path if record.path.startswith('/') else '/'}"
    try:
        return explanation.explain(
            plans, Question(reference, url, namespace or "default", record.method, host=record.authority)
        )
    except ConfigRejected:
        return None


def _on_the_way(way: Explanation | None, record: Record, told: tuple[flags.Flag, ...]) -> Iterator[Place]:
    """Yield what the route and its branch were made from, settings that the flags speak of first."""
    if way is None or way.route is None:
        return
    wanted = {"UT": ("timeout", "retries"), "URX": ("retries",), "FI": ("fault",), "DI": ("fault",)}
    for flag in told:
        for setting in way.route.settings:
            if setting.name in wanted.get(flag.code, ()) and setting.place is not None:
                yield setting.place
    if way.route.place is not None:
        yield way.route.place
    for leg in way.split:
        if leg.cluster == record.cluster and leg.written is not None:
            yield leg.written


def _of_cluster(plans: Plans, record: Record, places: Places) -> Iterator[Place]:
    """Yield what shapes the destination: its DestinationRule and its Service."""
    parsed = names.parse_cluster(record.cluster)
    if parsed is None or parsed.direction == "inbound":
        return
    workload = next((one for one in plans.snapshot.workloads if one.proxied and not plans.is_gateway(one)), None)
    plan = plans.plan(workload) if workload is not None else None
    cluster = next((one for one in plan.clusters if one.name == record.cluster), None) if plan is not None else None
    if cluster is not None and (place := places.of(cluster.origin)) is not None:
        yield place
    if (service := plans.snapshot.services.get(parsed.host)) is not None:
        yield places.of_object(service.origin)


def _rules(plans: Plans, record: Record) -> Iterator[Place]:
    if (place := rule_place(plans.snapshot, record.details)) is not None:
        yield place
