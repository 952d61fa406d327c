"""Servers that look at requests and responses, and change them."""

from collections.abc import Iterator
from typing import Any, Final

from lateen.envoy.selective import only_for
from lateen.envoy.side import Side
from lateen.envoy.values import duration
from lateen.plan.processing_types import Processor
from lateen.plan.types import Guard, Route

NAME: Final = "envoy.filters.http.ext_proc"
SLEEPS: Final = False


def http_filters(side: Side, guard: Guard) -> Iterator[Any]:
    """Stand once for each processor."""
    if side is not Side.OUTBOUND:
        for processor in guard.processors:
            yield only_for(processor.requests, NAME, ext_proc(processor))


def route_config(route: Route) -> None:
    """Say nothing: processors are the workload's."""


def ext_proc(plan: Processor) -> Any:
    """Say who is asked, what is shown, and what silence means."""
    # Loaded where one is used: the messages take memory.
    from envoy.extensions.filters.http.ext_proc.v3 import ext_proc_pb2, processing_mode_pb2

    return ext_proc_pb2.ExternalProcessor(
        grpc_service={
            "envoy_grpc": {"cluster_name": plan.cluster, "authority": plan.authority},
        },
        stat_prefix=plan.name.replace(".", "_"),
        failure_mode_allow=plan.fails_open,
        message_timeout=duration(plan.timeout),
        allow_mode_override=plan.may_change_mode,
        processing_mode=processing_mode_pb2.ProcessingMode(
            request_header_mode=plan.request.headers.value,
            request_body_mode=plan.request.body.value,
            request_trailer_mode=plan.request.trailers.value,
            response_header_mode=plan.response.headers.value,
            response_body_mode=plan.response.body.value,
            response_trailer_mode=plan.response.trailers.value,
        ),
    )
