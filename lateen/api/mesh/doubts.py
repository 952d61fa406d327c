"""What is legal in the mesh's settings, but is not done here; and why."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from lateen.api.mesh.mesh_config import InterceptionMode, MeshConfig, ProxyDefaults
from lateen.api.parsing import Fault
from lateen.api.structs import Struct, alias, told_without_effect, unknown_fields


@dataclass(frozen=True, slots=True)
class Fixed:
    """A field that can have one value only, and why; `field` is ours."""

    field: str
    value: Any
    reason: str

    @property
    def name(self) -> str:
        """The field as documents write it."""
        return alias(self.field)


_CAPTURED: Final = "the rules of the sandboxes lead captured connections to it"

OF_MESH: Final = (
    Fixed("proxy_listen_port", 15001, _CAPTURED),
    Fixed("proxy_inbound_listen_port", 15006, _CAPTURED),
    Fixed(
        "verify_certificate_at_client",
        True,
        "certificates of servers are always verified; insecureSkipVerify of a DestinationRule turns that off for one",
    ),
)
OF_PROXIES: Final = (
    Fixed("proxy_admin_port", 15000, "the commands of Lateen and the sandboxes' rules know the admin interface there"),
    Fixed("status_port", 15020, "metrics are read there"),
    Fixed(
        "interception_mode",
        InterceptionMode.REDIRECT,
        "connections are led into proxies by redirection; servers see their clients in x-forwarded-for",
    ),
)


def of_mesh(settings: MeshConfig) -> Iterator[Fault]:
    """Yield each setting of the mesh that is written and has no effect, or not the one that it asks for."""
    yield from _without_effect(settings)
    yield from _fixed(settings, OF_MESH)
    yield from _half_done(settings)
    yield from (
        Fault(f"{alias('default_config')}.{fault.path}", fault.message)
        for fault in _fixed(settings.default_config, OF_PROXIES)
    )


def of_proxy(settings: ProxyDefaults) -> Iterator[Fault]:
    """Yield the same for what is said of proxies alone, such as by the annotation of a workload."""
    yield from _without_effect(settings)
    yield from _fixed(settings, OF_PROXIES)


_DONE: Final = frozenset({"connection_pool", "outlier_detection"})
"""The parts of a traffic policy that act for the mesh as a whole."""


def _half_done(settings: MeshConfig) -> Iterator[Fault]:
    policy = settings.default_traffic_policy
    for name in sorted(policy.model_fields_set - _DONE) if policy else ():
        path = f"{alias('default_traffic_policy')}.{alias(name)}"
        yield Fault(path, "has no effect here: write it in a DestinationRule of the root namespace for host *.local")


def _without_effect(settings: Struct) -> Iterator[Fault]:
    for path in unknown_fields(settings):
        yield Fault(path, "unknown setting, kept without effect")
    for path, reason in told_without_effect(settings):
        yield Fault(path, f"has no effect here: {reason}")


def _fixed(settings: Struct, rules: tuple[Fixed, ...]) -> Iterator[Fault]:
    for rule in rules:
        if (written := getattr(settings, rule.field)) != rule.value:
            yield Fault(rule.name, f"is always {_shown(rule.value)} here, not {_shown(written)}: {rule.reason}")


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
