"""Asks the Mixer process about the requests that the gate has marked."""

from collections.abc import Iterator
from typing import Any, Final

from envoy.config.core.v3 import grpc_service_pb2

from lateen.envoy import mixer_rules
from lateen.envoy.http_filters import mixer_gate
from lateen.envoy.matching import TOKENS
from lateen.envoy.side import Side
from lateen.envoy.values import duration
from lateen.names import MIXER_CLUSTER
from lateen.plan.mixer_types import RemoteCheck
from lateen.plan.types import Guard, Route

NAME: Final = "envoy.filters.http.ext_authz"
SLEEPS: Final = False
_UNREACHABLE: Final = 503


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand where some rule is left for the process."""
    if side is not Side.OUTBOUND and guard.mixer is not None and guard.mixer.requests.remote is not None:
        yield ext_authz(guard.mixer.requests.remote)


def route_config(route: Route) -> None:
    """Say nothing: rules are the workload's."""


def ext_authz(plan: RemoteCheck) -> Any:
    """Say how the process is asked, and what its silence means."""
    # Loaded where one is used: the messages take memory.
    from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2

    message = ext_authz_pb2.ExtAuthz(
        transport_api_version="V3",
        stat_prefix="mixer",
        failure_mode_allow=plan.fails_open,
        clear_route_cache=True,
        include_peer_certificate=True,
        include_tls_session=True,
        metadata_context_namespaces=[TOKENS],
        filter_enabled_metadata=mixer_rules.passed_gate(mixer_gate.NAME),
        grpc_service=mixer_service(plan),
    )
    message.status_on_error.code = _UNREACHABLE
    return message


def mixer_service(plan: RemoteCheck) -> Any:
    """Say where the process is."""
    where = grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name=MIXER_CLUSTER, authority=MIXER_CLUSTER)
    return grpc_service_pb2.GrpcService(envoy_grpc=where, timeout=duration(plan.timeout))
