"""A golden case: a folder with what a user writes, and what comes of it for one proxy.

config.yaml   as a user writes it; its first line says why the case exists
proxy.yaml    `proxy`: role (sidecar unless told otherwise), labels, `config` (its annotation); `workloads`: labels of the others by name;
              `shows`: the names of the resources that xds.yaml is about, by type, with wildcards
plan.yaml     the plan
xds.yaml      the resources, without what every resource of the kind has (see `shortening`); the filters of policies,
              which are resources of their own, stand in the chains that ask for them
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from lateen.api.config_set import ConfigSet
from lateen.api.decode import decode_yaml
from lateen.api.mesh.settings import mesh_config
from lateen.api.networking.workload_group import WorkloadGroup
from lateen.envoy.cache import ResourceCache
from lateen.envoy.patches import patching
from lateen.envoy.resources import resource_set
from lateen.mixer.compile import RuleSets, with_mixer
from lateen.model import groups, proxy_settings
from lateen.model.endpoint import Endpoint
from lateen.model.proxy import Proxy, Role
from lateen.model.registry import PortKey
from lateen.model.service import Resolution, Service
from lateen.model.snapshot import Inputs, Snapshot, first_snapshot
from lateen.model.views import Views
from lateen.model.workload import Locality, Membership, Workload, WorkloadKey
from lateen.model.workloads import Workloads
from lateen.plan import describe
from lateen.plan.planner import build_plan
from lateen.plan.types import ProxyPlan
from lateen.xds.order import LISTENER, TYPES
from lateen.xds.resources import ResourceSet
from tests.envoy.acceptance import message, whole_listener
from tests.golden.shortening import shortened

HERE = Path(__file__).parent
INPUTS = ("config.yaml", "proxy.yaml")
OUTPUTS = ("plan.yaml", "xds.yaml")


@dataclass(frozen=True)
class Case:
    """One folder."""

    folder: Path

    @cached_property
    def outputs(self) -> Mapping[str, str]:
        """What is made of the inputs, by file."""
        return {"plan.yaml": _yaml(describe.plan(self.plan)), "xds.yaml": _yaml(dict(self._shown()))}

    @cached_property
    def resources(self) -> ResourceSet:
        """All resources of the proxy."""
        made = resource_set(self.plan, self._endpoints, ResourceCache())
        return patching.patched(made, self.plan.role, self.plan.patches).resources if self.plan.patches else made

    @cached_property
    def plan(self) -> ProxyPlan:
        """The proxy's plan."""
        views = Views(self._snapshot)
        view = views.view_for(views.class_of(self._proxy))
        return with_mixer(build_plan(view), view, RuleSets())

    @cached_property
    def _snapshot(self) -> Snapshot:
        """The mesh of the case; Services get virtual addresses in the order of their hosts."""
        decoded = decode_yaml((self.folder / "config.yaml").read_text(), "config.yaml")
        assert not decoded.violations, "\n".join(map(str, decoded.violations))
        config = ConfigSet(decoded.objects)
        workloads = Workloads().apply([*self._workloads(), *self._members(config)])
        hosts = sorted(filter(None, map(_wanting, first_snapshot(Inputs(config)).services.values())))
        addresses = {host: f"10.96.0.{number}" for number, host in enumerate(hosts, start=1)}
        return first_snapshot(Inputs(config, workloads, addresses, mesh_config(config), session_key=b"goldens"))

    @cached_property
    def _given(self) -> dict[str, Any]:
        return dict(yaml.safe_load((self.folder / "proxy.yaml").read_text()))

    @property
    def _proxy(self) -> Proxy:
        given = self._given["proxy"]
        labels = given.get("labels", {})
        own = proxy_settings.live_parts({proxy_settings.ANNOTATION: given.get("config", "")})
        key, role = WorkloadKey("default", "proxy"), Role(given.get("role", "sidecar"))
        return Proxy(key, role, labels, locality=_locality(labels), settings=own)

    def _workloads(self) -> Iterator[Workload]:
        others = self._given.get("workloads", {})
        for number, (name, labels) in enumerate(others.items(), start=10):
            yield Workload(WorkloadKey("default", name), f"10.244.0.{number}", labels, locality=_locality(labels))

    def _members(self, config: ConfigSet) -> Iterator[Workload]:
        """The workloads that are registered in groups."""
        found = {item.name: item for item in config.of(WorkloadGroup, "default")}
        for number, (name, group) in enumerate(self._given.get("members", {}).items(), start=100):
            workload = Workload(WorkloadKey("default", name), f"10.244.0.{number}", membership=Membership(group))
            yield groups.registered(workload, found[group])

    def _endpoints(self, host: str, port: int) -> tuple[Endpoint, ...]:
        return self._snapshot.endpoints.get(PortKey(host, port), ())

    def _shown(self) -> Iterator[tuple[str, Any]]:
        for kind in TYPES:
            patterns = self._given["shows"].get(kind.short.lower(), ())
            found = {
                name: shortened(whole_listener(made, self.resources) if kind.url == LISTENER else message(made))
                for name, made in self.resources.get(kind.url, {}).items()
                if any(fnmatchcase(name, pattern) for pattern in patterns)
            }
            if found:
                yield kind.short.lower(), found


def cases() -> list[Case]:
    """All cases, by name."""
    return [Case(path.parent) for path in sorted(HERE.glob("*/config.yaml"))]


def orphans() -> list[Path]:
    """Files and folders that belong to no case."""
    known = {HERE / case.folder.name / name for case in cases() for name in (*INPUTS, *OUTPUTS)}
    return [path for path in sorted(HERE.glob("*/*")) if path not in known and path.parent.name != "__pycache__"]


def _locality(labels: Mapping[str, str]) -> Locality:
    return Locality.parse(labels.get("istio-locality", "").replace(".", "/"))


def _wanting(service: Service) -> str:
    """Return a service's host if it has to be given an address."""
    internal = service.resolution is Resolution.REGISTRY and not service.addresses and not service.headless
    return service.host if internal else ""


def _yaml(document: Any) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=120, allow_unicode=True, default_flow_style=None)
