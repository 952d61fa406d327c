"""The adapters that are built in: the table of their names, parameters and templates."""

import difflib
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from lateen.api.mixer import checks, quotas, reports
from lateen.api.mixer.structs import AdapterParams
from lateen.api.mixer.templates import TEMPLATES


@dataclass(frozen=True, slots=True)
class AdapterKind:
    """A built-in adapter: its name, its parameters, and the templates whose instances it takes."""

    name: str
    params: type[AdapterParams]
    templates: tuple[str, ...]

    @property
    def spec(self) -> type[AdapterParams]:
        """What an object of the older kind by this name holds."""
        return self.params


ADAPTERS: Final = (
    AdapterKind("denier", checks.DenierParams, ("checknothing", "listentry", "quota")),
    AdapterKind("listchecker", checks.ListCheckerParams, ("listentry",)),
    AdapterKind("opa", checks.OpaParams, ("authorization",)),
    AdapterKind("memquota", quotas.MemQuotaParams, ("quota",)),
    AdapterKind("redisquota", quotas.RedisQuotaParams, ("quota",)),
    AdapterKind("prometheus", reports.PrometheusParams, ("metric",)),
    AdapterKind("stdio", reports.StdioParams, ("logentry", "metric")),
    AdapterKind("fluentd", reports.FluentdParams, ("logentry",)),
    AdapterKind("statsd", reports.StatsdParams, ("metric",)),
    AdapterKind("dogstatsd", reports.DogstatsdParams, ("metric",)),
    AdapterKind("zipkin", reports.ZipkinParams, ("tracespan",)),
    AdapterKind("kubernetesenv", checks.KubernetesEnvParams, ("kubernetes",)),
    AdapterKind("noop", checks.NoopParams, tuple(row.name for row in TEMPLATES)),
)
"""Every adapter that is built in."""

_BY_NAME: Final = MappingProxyType({row.name: row for row in ADAPTERS})


def adapter(name: str) -> AdapterKind | None:
    """Return the built-in adapter of this name."""
    return _BY_NAME.get(name)


def near_adapters(name: str) -> str:
    """Return the end of a message: what may have been meant, or all there are."""
    near = difflib.get_close_matches(name, _BY_NAME, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(_BY_NAME))}"
