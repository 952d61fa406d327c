"""How the proxy of a workload is started: what MeshConfig, ProxyConfigs and the workload's own annotation say.

A running proxy keeps the settings that it was started with.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, TypeVar

import yaml

from lateen.api.config_set import ConfigSet
from lateen.api.fields import EMPTY_MAP, parse_duration
from lateen.api.mesh.mesh_config import MeshConfig, ProxyDefaults, TracingServiceName
from lateen.api.networking.proxy_config import ProxyConfig
from lateen.api.parsing import Fault, parse
from lateen.api.structs import Struct, alias
from lateen.model import statistics
from lateen.model.statistics import Statistics

ANNOTATION: Final = "proxy.istio.io/config"
LOG_LEVEL_ANNOTATION: Final = "sidecar.istio.io/logLevel"
_LIVE: Final = frozenset(map(alias, ("tracing", "proxy_headers", "connection_settings", "gateway_topology")))
S = TypeVar("S", bound=Struct)
CPU_LIMIT_ANNOTATION: Final = "sidecar.istio.io/proxyCPULimit"
EXIT_WHEN_UNUSED: Final = "EXIT_ON_ZERO_ACTIVE_CONNECTIONS"
MINIMUM_DRAIN: Final = "MINIMUM_DRAIN_DURATION"
_CPUS: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(m?)")
LOG_LEVELS: Final = ("trace", "debug", "info", "warning", "error", "critical", "off")


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """What a proxy is started with. `concurrency` is its number of worker threads; 0 is one a processor,
    None is one.

    `drain` is how long connections live on whose listener has changed: less than in Istio, since a connection that is
    kept gives one more answer by the rules before. `termination_drain` is how long requests that are under way are
    waited for when the workload ends; with `waits_for_connections` connections are, after `minimum_drain`, for as long
    as the pod may take to end. `runtime` are values of Envoy's own, `connections` how many clients may have at once.
    Logs are written after `log_flush`, or once there are `log_flush_kb`. `service_name` is what traces call it.
    """

    concurrency: int | None = None
    environment: Mapping[str, str] = EMPTY_MAP
    drain: timedelta = timedelta(seconds=5)
    termination_drain: timedelta = timedelta(seconds=5)
    log_level: str = "warning"
    statistics: Statistics = statistics.USUAL
    runtime: Mapping[str, str] = EMPTY_MAP
    connections: int | None = None
    log_flush: timedelta = timedelta(milliseconds=500)
    log_flush_kb: int | None = None
    service_name: TracingServiceName = TracingServiceName.APP_LABEL_AND_NAMESPACE
    waits_for_connections: bool = False
    minimum_drain: timedelta = timedelta(seconds=5)


def proxy_settings(
    config: ConfigSet, mesh: MeshConfig, namespace: str, labels: Mapping[str, str], annotations: Mapping[str, str]
) -> ProxySettings:
    """Settle how a workload's proxy is started.

    The annotation wins over a ProxyConfig that selects the workload, that one over its namespace's, over the root
    namespace's, and all of them over the mesh's defaults. An annotation that cannot be read counts as not there.
    """
    settled = _with_defaults(ProxySettings(statistics=statistics.of_mesh(mesh)), mesh.default_config)
    for item in _configs(config, mesh.root_namespace, namespace, labels):
        settled = replace(
            settled,
            concurrency=settled.concurrency if item.concurrency is None else item.concurrency,
            environment={**settled.environment, **item.environment_variables},
        )
    own = annotated(annotations)
    settled = _with_defaults(settled, own) if own is not None else settled
    is_said = settled.concurrency is not None
    draining = _draining(settled.environment)
    kept = statistics.with_annotations(settled.statistics, annotations)
    level = annotations.get(LOG_LEVEL_ANNOTATION, settled.log_level)
    return replace(
        settled,
        concurrency=settled.concurrency if is_said else cpus(annotations.get(CPU_LIMIT_ANNOTATION, "")),
        log_level=level if level in LOG_LEVELS else settled.log_level,
        statistics=statistics.with_connections(kept) if draining.get("waits_for_connections") else kept,
        **draining,
    )


def cpus(limit: str) -> int | None:
    """Read how many worker threads a limit such as `1500m` or `2` is good for; None where it says nothing."""
    found = _CPUS.fullmatch(limit.strip())
    if found is None:
        return None
    amount = float(found[1]) / (1000 if found[2] else 1)
    return max(1, math.ceil(amount))


def _draining(environment: Mapping[str, str]) -> dict[str, Any]:
    """Read what Istio's agent reads in its environment of how a proxy ends; what cannot be read says nothing."""
    found: dict[str, Any] = {"waits_for_connections": environment.get(EXIT_WHEN_UNUSED, "").lower() == "true"}
    try:
        found["minimum_drain"] = parse_duration(environment[MINIMUM_DRAIN])
    except (KeyError, ValueError):
        return found
    return found


def annotated(annotations: Mapping[str, str]) -> ProxyDefaults | None:
    """Read the settings in a workload's annotation; None without one, or where it is no ProxyConfig."""
    text = annotations.get(ANNOTATION)
    read = _read(text) if text else None
    return read if isinstance(read, ProxyDefaults) else None


def faults(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """Say what is wrong with the settings in a workload's annotation, field by field; nothing where they are right."""
    text = annotations.get(ANNOTATION)
    read = _read(text) if text else ()
    return () if isinstance(read, ProxyDefaults) else tuple(f"{fault.path} {fault.message}" for fault in read)


@lru_cache(maxsize=256)
def _read(text: str) -> ProxyDefaults | tuple[Fault, ...]:
    try:
        content: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return (Fault("", f"must be YAML: {' '.join(str(error).split())}"),)
    if not isinstance(content, dict):
        return (Fault("", "must be like defaultConfig of MeshConfig"),)
    return parse(ProxyDefaults, content)


def live_parts(annotations: Mapping[str, str]) -> str:
    """Return what a workload's annotation says that proxies need not be started anew for, as JSON; "" for nothing."""
    if annotated(annotations) is None:
        return ""
    content = yaml.safe_load(annotations[ANNOTATION])
    found = {name: content[name] for name in sorted(content) if name in _LIVE and content[name] is not None}
    return json.dumps(found, sort_keys=True) if found else ""


@lru_cache(maxsize=256)
def effective(defaults: ProxyDefaults, own: str) -> ProxyDefaults:
    """Lay what a workload says of its own proxy, as `live_parts` writes it, over the mesh's, field by field."""
    written = parse(ProxyDefaults, json.loads(own)) if own else None
    return _laid_over(defaults, written) if isinstance(written, ProxyDefaults) else defaults


def _laid_over(under: S, over: S) -> S:
    """Return a struct in which each field that is written in `over` is as there; structs inside are merged alike."""
    changes: dict[str, Any] = {}
    for name in over.model_fields_set:
        before, value = getattr(under, name), getattr(over, name)
        is_inner = isinstance(value, Struct) and type(before) is type(value)
        changes[name] = _laid_over(before, value) if is_inner else value
    return under.model_copy(update=changes)


def _with_defaults(settings: ProxySettings, written: ProxyDefaults) -> ProxySettings:
    """Lay what is written over settings; what is not written leaves them."""
    fields = written.model_fields_set
    bounds = written.connection_settings
    limit = bounds.global_downstream_connection_limit if bounds else None
    return replace(
        settings,
        concurrency=settings.concurrency if written.concurrency is None else written.concurrency,
        environment={**settings.environment, **written.proxy_metadata},
        runtime={**settings.runtime, **written.runtime_values},
        connections=settings.connections if limit is None else limit,
        log_flush=written.file_flush_interval or settings.log_flush,
        log_flush_kb=written.file_flush_min_size_kb or settings.log_flush_kb,
        service_name=written.tracing_service_name if "tracing_service_name" in fields else settings.service_name,
        statistics=statistics.with_defaults(settings.statistics, written),
        drain=written.drain_duration if "drain_duration" in fields else settings.drain,
        termination_drain=(
            written.termination_drain_duration if "termination_drain_duration" in fields else settings.termination_drain
        ),
    )


def _configs(config: ConfigSet, root: str, namespace: str, labels: Mapping[str, str]) -> Iterator[ProxyConfig]:
    """Yield the ProxyConfigs for a workload, the weakest first; of several that are equally near the first counts."""
    own = [item.spec for item in config.of(ProxyConfig, namespace)]
    everywhere = [item.spec for item in config.of(ProxyConfig, root)] if namespace != root else []
    for found in (
        [spec for spec in everywhere if spec.selector is None],
        [spec for spec in own if spec.selector is None],
        [spec for spec in own if spec.selector is not None and spec.selector.match_labels.items() <= labels.items()],
    ):
        yield from found[:1]
