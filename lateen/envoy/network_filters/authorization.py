"""Rules about who may open connections that are not HTTP, with the external authorizers that are asked about them."""

from collections.abc import Iterator
from typing import Any, Final

from envoy.config.listener.v3 import listener_components_pb2
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2

from lateen.envoy import mixer_rules, rbac
from lateen.envoy.http_filters.ext_authz import grpc_service
from lateen.envoy.http_filters.mixer_check import mixer_service
from lateen.envoy.values import typed
from lateen.plan.access import connection_access
from lateen.plan.mixer_types import Checks, RemoteCheck
from lateen.plan.types import Authorizer, Guard

RBAC: Final = "envoy.filters.network.rbac"
EXT_AUTHZ: Final = "envoy.filters.network.ext_authz"
_STAT_PREFIX: Final = "tcp."


def network_filters(guard: Guard) -> Iterator[Any]:
    """Yield the filters that a connection passes before it is carried on."""
    access = connection_access(guard.access)
    for check in access.custom:
        gate = rbac.Step(None, rbac.denying(check.rules), rbac.gate_prefix(check.authorizer))
        yield _rbac(gate)
        yield _filter(EXT_AUTHZ, ext_authz(check.authorizer))
    for step in rbac.steps(access):
        yield _rbac(step)
    if guard.mixer is not None:
        yield from _mixer(guard.mixer.connections)


def _mixer(plan: Checks) -> Iterator[Any]:
    if plan.denials:
        yield _rbac(rbac.Step(mixer_rules.denying((one.name, one.when) for one in plan.denials)))
    if plan.remote is not None:
        rules = mixer_rules.denying((one.name, one.when) for one in plan.remote.rules)
        yield _rbac(rbac.Step(None, rules, mixer_rules.GATE_PREFIX))
        yield _filter(EXT_AUTHZ, mixer_check(plan.remote))


def mixer_check(plan: RemoteCheck) -> Any:
    """Say how the Mixer process is asked about a connection."""
    # Loaded where one is used: the messages take memory.
    from envoy.extensions.filters.network.ext_authz.v3 import ext_authz_pb2

    return ext_authz_pb2.ExtAuthz(
        stat_prefix=_STAT_PREFIX,
        transport_api_version="V3",
        grpc_service=mixer_service(plan),
        failure_mode_allow=plan.fails_open,
        include_peer_certificate=True,
        include_tls_session=True,
        filter_enabled_metadata=mixer_rules.passed_gate(RBAC),
    )


def ext_authz(plan: Authorizer) -> Any:
    """Say how an authorizer is asked about a connection."""
    # Loaded where one is used: the messages take memory.
    from envoy.extensions.filters.network.ext_authz.v3 import ext_authz_pb2

    return ext_authz_pb2.ExtAuthz(
        stat_prefix=_STAT_PREFIX,
        transport_api_version="V3",
        grpc_service=grpc_service(plan),
        failure_mode_allow=plan.fails_open,
        include_peer_certificate=True,
        filter_enabled_metadata=rbac.passed_gate(plan, RBAC),
    )


def _rbac(step: rbac.Step) -> Any:
    message = rbac_pb2.RBAC(
        rules=step.rules,
        shadow_rules=step.shadow_rules,
        shadow_rules_stat_prefix=step.shadow_prefix,
        stat_prefix=_STAT_PREFIX,
    )
    return _filter(RBAC, message)


def _filter(name: str, message: Any) -> Any:
    return listener_components_pb2.Filter(name=name, typed_config=typed(message))
