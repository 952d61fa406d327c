"""The table of codes: what each says, how much it matters, and who finds it.

Codes that begin with IST are Istio's and mean the same; those with LAT are Lateen's own. One without a function is
given elsewhere: at decoding, or while a proxy's plan is made.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from lateen.plan.analysis import (
    annotations,
    deprecations,
    destination_rules,
    envoy_filters,
    gateways,
    groups,
    injection,
    namespaces,
    references,
    scopes,
    services,
    virtual_services,
)
from lateen.plan.analysis.findings import Level
from lateen.plan.analysis.world import Found, World
from lateen.plan.diagnostics import Doubt


class Code(NamedTuple):
    """A code: its title completes "this object …"."""

    code: str
    level: Level
    title: str
    find: Callable[[World], Found] | None = None


SCHEMA_ERROR: Final = "IST0106"
SCHEMA_WARNING: Final = "IST0133"
_E, _W, _I = Level.ERROR, Level.WARNING, Level.INFO


def _overruled(world: World) -> Found:
    yield from groups.contradicted(world)
    yield from services.hosts_of_others(world)


CODES: Final = (
    Code("IST0002", _W, "uses a deprecated field", deprecations.deprecated_fields),
    Code(Doubt.MISSING, _E, "names something that does not exist", references.missing),
    Code(SCHEMA_ERROR, _E, "breaks the schema of its kind, and is refused"),
    Code("IST0107", _W, "has an annotation that is not for its kind", annotations.misplaced),
    Code("IST0108", _W, "has an annotation that Istio does not know", annotations.unknown),
    Code("IST0109", _E, "says again what an older VirtualService says for a host", virtual_services.shared_hosts),
    Code("IST0110", _E, "selects workloads that another Sidecar selects", scopes.sidecars_for_same_workloads),
    Code("IST0111", _E, "is the second Sidecar for its whole namespace", scopes.sidecars_for_same_namespace),
    Code(Doubt.PORT_LEFT_OUT, _E, "leaves open which of a service's ports is meant", references.ports_left_out),
    Code("IST0116", _W, "reads a workload's port otherwise than another Service", services.protocol_conflicts),
    Code("IST0118", _I, "has a port whose name says no protocol", services.port_names),
    Code("IST0123", _W, "has several labels for injection", injection.several_labels),
    Code("IST0125", _W, "has an annotation with a value that cannot be read", annotations.bad_values),
    Code("IST0127", _W, "selects no workload", references.unmatched_selectors),
    Code("IST0128", _W, "uses TLS without saying who is believed", destination_rules.believing_everybody),
    Code(
        "IST0129",
        _W,
        "uses TLS at a port without saying who is believed",
        destination_rules.believing_at_ports,
    ),
    Code("IST0130", _W, "has a rule that is never reached", virtual_services.unreachable_rules),
    Code("IST0131", _I, "has a match that repeats an earlier one", virtual_services.repeated_matches),
    Code("IST0132", _W, "has a host that its Gateway does not serve", virtual_services.hosts_off_gateways),
    Code(SCHEMA_WARNING, _W, "has a field that is read, and is doubtful"),
    Code("IST0134", _W, "has a TCP port that needs an address", services.entries_without_addresses),
    Code("IST0135", _I, "has a deprecated annotation", annotations.deprecated),
    Code("IST0136", _I, "has an annotation that is alpha in Istio", annotations.alpha),
    Code("IST0137", _W, "offers a workload's port by another number than another Service", services.port_conflicts),
    Code("IST0138", _W, "shares its certificate with another Gateway", gateways.shared_certificates),
    Code(
        "IST0140",
        _W,
        "has a rule with subsets that gateways pass by",
        virtual_services.subsets_without_ingress,
    ),
    Code("IST0145", _E, "opens a port for a host that an older Gateway has", gateways.conflicts),
    Code("IST0146", _W, "wants a proxy's image where no proxy is given", injection.bare_templates),
    Code("IST0147", _E, "wants a proxy's image where no proxy is given", injection.bare_pods),
    Code("IST0148", _I, "gets proxies because nothing else is said", injection.enabled_by_default),
    Code("IST0149", _E, "routes by claims of tokens that nobody verifies", virtual_services.claims_without_tokens),
    Code("IST0150", _W, "is an ExternalName with a port whose name says no protocol", services.alias_ports),
    Code("IST0151", _W, "patches what others patch too, in no settled order", envoy_filters.unordered),
    Code("IST0152", _E, "uses REPLACE where it has no effect", envoy_filters.bad_replacements),
    Code("IST0153", _E, "uses ADD where it has no effect", envoy_filters.bad_additions),
    Code("IST0154", _E, "uses REMOVE where it has no effect", envoy_filters.bad_removals),
    Code("IST0155", _W, "patches what others patch too, for some versions only", envoy_filters.bound_to_versions),
    Code("IST0157", _W, "names no provider", scopes.empty_providers),
    Code("IST0159", _E, "selects workloads that another Telemetry selects", scopes.telemetries_for_same_workloads),
    Code("IST0160", _E, "is the second Telemetry for its whole namespace", scopes.telemetries_for_same_namespace),
    Code(Doubt.CREDENTIAL, _E, "names a Secret that is of no use", gateways.bad_credentials),
    Code("IST0162", _W, "opens a port that the gateway's Service does not have", gateways.ports_off_services),
    Code(Doubt.POLICY_WITHOUT_EFFECT, _W, "is a policy that has no effect where it applies"),
    Code("IST0173", _E, "has a subset that selects nobody", references.empty_subsets),
    Code("IST0174", _W, "is for a host that does not exist", references.unknown_rule_hosts),
    Code("IST0177", _W, "says another protocol for a host's port than another ServiceEntry", services.entry_conflicts),
    Code(Doubt.OTHER, _W, "does not do all that it seems to say"),
    Code(Doubt.NO_EFFECT_YET, _W, "says something that this release does not act on"),
    Code(Doubt.NEVER_MATCHES, _W, "has a condition that never holds"),
    Code(Doubt.OVERRULED, _W, "is overruled by another object", _overruled),
    Code(Doubt.NOT_OPEN, _W, "has a server that is not open"),
    Code(Doubt.DENIES, _W, "denies or passes more than it seems to"),
    Code(Doubt.NO_KEYS, _W, "verifies tokens with keys that could not be fetched"),
    Code(Doubt.UNUSABLE, _W, "has, or needs, a certificate that is of no use"),
    Code(Doubt.NEVER_ACTS, _W, "has a fault or mirror that never acts"),
    Code("LAT0010", _W, "keeps a member of a WorkloadGroup from being registered", groups.passed_over),
    Code("LAT0011", _I, "is in a namespace of which proxies do not know", namespaces.undiscovered),
)
"""Every code that Lateen gives."""

_BY_CODE: Final = {row.code: row for row in CODES}


def of(code: str) -> Code:
    """Return the row of a code."""
    return _BY_CODE[code]
