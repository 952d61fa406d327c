"""Telemetry: what proxies tell of the calls that pass them."""

from lateen.api.security.attachment import Attached
from lateen.api.telemetry.access_logging import AccessLogging
from lateen.api.telemetry.metrics import Metrics
from lateen.api.telemetry.tracing import TracingRule


class Telemetry(Attached):
    """The traces, metrics and access logs of some workloads' proxies.

    The root namespace's counts for the whole mesh; a namespace's, and after that a workload's own, says only what is to
    be otherwise.
    """

    tracing: tuple[TracingRule, ...] = ()
    metrics: tuple[Metrics, ...] = ()
    access_logging: tuple[AccessLogging, ...] = ()

    MAY_BE_EMPTY = frozenset({"tracing", "metrics", "access_logging"})
