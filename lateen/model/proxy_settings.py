"""How the proxy of a workload is started: what MeshConfig, ProxyConfigs and the workload's own annotation say.

A running proxy keeps the settings that it was started with.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, TypeVar

import yaml

from lateen.api.config_set import ConfigSet
from lateen.api.fields import EMPTY_MAP
from lateen.api.mesh.mesh_config import MeshConfig, ProxyDefaults
from lateen.api.networking.proxy_config import ProxyConfig
from lateen.api.parsing import parse
from lateen.api.structs import Struct, alias
from lateen.model import statistics
from lateen.model.statistics import Statistics

ANNOTATION: Final = "proxy.istio.io/config"
LOG_LEVEL_ANNOTATION: Final = "sidecar.istio.io/logLevel"
_LIVE: Final = frozenset(map(alias, ("tracing", "proxy_headers", "connection_settings", "gateway_topology")))
S = TypeVar("S", bound=Struct)
LOG_LEVELS: Final = ("trace", "debug", "info", "warning", "error", "critical", "off")


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """What a proxy is started with. `concurrency` is its number of worker threads; 0 is one a processor.

    `drain` is how long connections live on whose listener has changed: less than in Istio, since a connection that is
    kept gives one more answer by the rules before. `termination_drain` is how long requests that are under way are
    waited for when the workload ends.
    """

    concurrency: int = 1
    environment: Mapping[str, str] = EMPTY_MAP
    drain: timedelta = timedelta(seconds=5)
    termination_drain: timedelta = timedelta(seconds=5)
    log_level: str = "warning"
    statistics: Statistics = statistics.USUAL


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
    level = annotations.get(LOG_LEVEL_ANNOTATION, settled.log_level)
    return replace(
        settled,
        log_level=level if level in LOG_LEVELS else settled.log_level,
        statistics=statistics.with_annotations(settled.statistics, annotations),
    )


def annotated(annotations: Mapping[str, str]) -> ProxyDefaults | None:
    """Read the settings in a workload's annotation; None without one, or where it is no ProxyConfig."""
    text = annotations.get(ANNOTATION)
    if not text:
        return None
    try:
        content: Any = yaml.safe_load(text)
    except yaml.YAMLError:
        return None
    read = parse(ProxyDefaults, content) if isinstance(content, dict) else None
    return read if isinstance(read, ProxyDefaults) else None


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
    return replace(
        settings,
        concurrency=settings.concurrency if written.concurrency is None else written.concurrency,
        environment={**settings.environment, **written.proxy_metadata},
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
