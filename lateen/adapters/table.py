"""The adapters of this process: one row each, by the name that handlers call it."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from lateen.adapters import opa, redisquota
from lateen.adapters.denier import Denier
from lateen.adapters.fluentd import Fluentd
from lateen.adapters.listchecker import ListChecker
from lateen.adapters.memquota import MemQuota
from lateen.adapters.noop import Noop
from lateen.adapters.prometheus import Prometheus
from lateen.adapters.statsd import Dogstatsd, Statsd
from lateen.adapters.stdio import Stdio
from lateen.adapters.surroundings import Surroundings
from lateen.mixer.ports import Handler

Make = Callable[[Any, Surroundings], Handler]
"""Makes a handler of its settings, the struct that `api.mixer.adapters` names. Raises `LateenError`."""

ADAPTERS: Final[Mapping[str, Make]] = MappingProxyType(
    {
        "denier": lambda params, _: Denier(params),
        "dogstatsd": Dogstatsd,
        "fluentd": Fluentd,
        # What it knows of workloads, the engine itself asks of the directory.
        "kubernetesenv": lambda *_: Noop(),
        "listchecker": ListChecker,
        "memquota": lambda params, surroundings: MemQuota(params, surroundings.clock),
        "noop": lambda *_: Noop(),
        "opa": opa.make,
        "prometheus": Prometheus,
        "redisquota": redisquota.make,
        "statsd": Statsd,
        "stdio": lambda params, _: Stdio(params),
    }
)
"""Every adapter that this process can run itself."""
