"""Small worlds for tests: YAML as users write it, the view of one of its proxies, and the plan for it."""

from collections.abc import Iterable, Mapping
from textwrap import dedent
from typing import Any

from lateen.api.changes import Remove, Upsert
from lateen.api.config_set import ConfigSet
from lateen.api.decode import decode_yaml
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.mesh.settings import mesh_config
from lateen.api.objects import ConfigObject
from lateen.api.structs import Struct
from lateen.model.proxy import Proxy, Role
from lateen.model.service import Resolution, Service
from lateen.model.snapshot import Inputs, Snapshot, first_snapshot, next_snapshot
from lateen.model.view import ProxyView
from lateen.model.views import Views
from lateen.model.workload import Workload, WorkloadKey
from lateen.model.workloads import Workloads
from lateen.plan.cache import PlanCache
from lateen.plan.planner import build_plan
from lateen.plan.types import ProxyPlan

SHOP = """
apiVersion: v1
kind: Service
metadata: {name: cart}
spec: {selector: {app: cart}, ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: stock, namespace: depot}
spec: {selector: {app: stock}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp-feed, port: 7000}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: cart}
spec:
  host: cart
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
"""


def snapshot(
    text: str,
    mesh: Mapping[str, Any] | None = None,
    previous: Snapshot | None = None,
    workloads: Iterable[Workload] = (),
) -> Snapshot:
    """Decode YAML that must be right; services without an address get one, as the mesh gives them.

    What is the same as in `previous` stays the same object.
    """
    decoded = decode_yaml(dedent(text), "world.yaml")
    assert not decoded.errors, [str(error) for error in decoded.errors]
    config = _changed(previous.config, decoded.objects) if previous else ConfigSet(decoded.objects)
    said = mesh_config(config) if mesh is None else MeshConfig.model_validate(dict(mesh))
    settings = previous.mesh if previous and mesh is None else said
    found = first_snapshot(Inputs(config, mesh=settings)).services.values()
    wanting = [service.host for service in found if _wants_address(service)]
    addresses = {host: f"10.96.0.{number}" for number, host in enumerate(wanting, start=1)}
    inputs = Inputs(config, Workloads().apply(workloads), addresses, settings)
    return next_snapshot(previous, inputs)[0] if previous else first_snapshot(inputs)


def view(
    world: Snapshot, namespace: str = "default", role: Role = Role.SIDECAR, labels: Mapping[str, str] | None = None
) -> ProxyView:
    """Return what a proxy of a namespace sees."""
    views = Views(world)
    proxy = Proxy(WorkloadKey(namespace, "client"), role, dict(labels or {}), ports={"web": 8080})
    return views.view_for(views.class_of(proxy))


def plan(text: str, namespace: str = "default", mesh: Mapping[str, Any] | None = None, **labels: str) -> ProxyPlan:
    """Plan a sidecar of a namespace."""
    return build_plan(view(snapshot(text, mesh), namespace, labels=labels), PlanCache())


def gateway_plan(text: str, namespace: str = "istio-system", **labels: str) -> ProxyPlan:
    """Plan a gateway; it is labelled `istio: ingressgateway` unless told otherwise."""
    return build_plan(view(snapshot(text), namespace, Role.GATEWAY, labels or {"istio": "ingressgateway"}), PlanCache())


def _changed(before: ConfigSet, objects: tuple[ConfigObject[Struct], ...]) -> ConfigSet:
    gone = {item.key for item in before} - {item.key for item in objects}
    new = [Upsert(item) for item in objects if before.get(item.key) != item]
    return before.apply([*new, *map(Remove, gone)])


def _wants_address(service: Service) -> bool:
    if service.addresses or service.headless or service.alias_of or service.host.startswith("*"):
        return False
    return service.origin.kind == "Service" or service.resolution is not Resolution.PASSTHROUGH
