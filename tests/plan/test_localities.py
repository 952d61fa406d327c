"""Which endpoints a client prefers by where they are, and how traffic is shared out to localities."""

from typing import Any

import pytest

from lateen.api.networking.destination_rule import LoadBalancer, LocalityLoadBalancing, ZoneAwareLoadBalancing
from lateen.model.endpoint import Endpoint
from lateen.model.proxy import Proxy, Role
from lateen.model.views import Views
from lateen.model.workload import Locality, WorkloadKey
from lateen.plan import localities
from lateen.plan.cache import PlanCache
from lateen.plan.destination_types import Distribution, Preference, ZoneAwareness
from lateen.plan.localities import Client
from lateen.plan.planner import build_plan
from tests.plan import worlds

HERE = Client(Locality("eu", "a", "rack1"), "lan", (("version", "v2"),))
PLACES = ("eu/a/rack1", "eu/a/rack2", "eu/b", "us/c", "asia/d")


def endpoints(*places: str, **labels: str) -> list[Endpoint]:
    return [Endpoint("192.0.2.1", 80, labels, locality=Locality.parse(place)) for place in places]


def setting(**fields: Any) -> LocalityLoadBalancing:
    return LocalityLoadBalancing.model_validate(fields)


@pytest.mark.parametrize(
    ("fields", "ranks"),
    [
        pytest.param({}, [0, 1, 2, 3, 3], id="the nearer ones come first"),
        pytest.param({"failover": [{"from": "eu", "to": "asia"}]}, [0, 1, 2, 4, 3], id="a region takes over"),
        pytest.param({"failover": [{"from": "us", "to": "asia"}]}, [0, 1, 2, 3, 3], id="from another region"),
        pytest.param({"failoverPriority": ["topology.kubernetes.io/region"]}, [0, 0, 0, 1, 1], id="by region only"),
        pytest.param(
            {"failoverPriority": ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"]},
            [0, 0, 1, 2, 2],
            id="by region, then zone",
        ),
        pytest.param({"failoverPriority": ["topology.kubernetes.io/region=us"]}, [1, 1, 1, 0, 1], id="a value told"),
    ],
)
def test_endpoints_are_preferred(fields: dict[str, Any], ranks: list[int]) -> None:
    spread = localities.spread(setting(**fields), HERE, finds_failures=True)
    assert isinstance(spread, Preference)
    assert localities.priorities(spread, endpoints(*PLACES)) == ranks


def test_endpoints_with_the_labels_of_the_client_come_first() -> None:
    spread = localities.spread(setting(failoverPriority=["version"]), HERE, finds_failures=True)
    assert isinstance(spread, Preference)
    mixed = [*endpoints("us/c", version="v1"), *endpoints("asia/d", version="v2")]
    assert localities.priorities(spread, mixed) == [1, 0]


def test_ranks_have_no_gaps() -> None:
    spread = localities.spread(setting(), HERE, finds_failures=True)
    assert isinstance(spread, Preference)
    assert localities.priorities(spread, endpoints("us/c", "eu/b")) == [1, 0]


@pytest.mark.parametrize(
    ("fields", "client", "finds_failures"),
    [
        pytest.param({"enabled": False}, HERE, True, id="switched off"),
        pytest.param({}, HERE, False, id="nobody finds out what fails"),
        pytest.param({}, Client(), True, id="the client's place is not known"),
        pytest.param({"distribute": [{"from": "us/*", "to": {"eu": 100}}]}, HERE, True, id="another place's shares"),
    ],
)
def test_endpoints_are_all_the_same(fields: dict[str, Any], client: Client, finds_failures: bool) -> None:
    assert localities.spread(setting(**fields), client, finds_failures=finds_failures) is None


@pytest.mark.parametrize(("fields", "ranks"), [({}, [0, 1, 2, 3, 3]), ({"enabled": False}, None)])
def test_a_service_may_prefer_clients_that_are_near(fields: dict[str, Any], ranks: list[int] | None) -> None:
    spread = localities.spread(setting(**fields), HERE, finds_failures=False, prefers_near=True)
    found = localities.priorities(spread, endpoints(*PLACES)) if isinstance(spread, Preference) else None
    assert found == ranks


def test_traffic_is_distributed() -> None:
    to = {"eu/a/*": 80, "eu/b": 20}
    spread = localities.spread(setting(distribute=[{"from": "eu/*", "to": to}]), HERE, finds_failures=False)
    assert isinstance(spread, Distribution)
    shares = localities.shares(spread, endpoints(*PLACES))
    total = sum(shares.values())
    assert {"/".join(filter(None, place)): share / total for place, share in shares.items()} == {
        "eu/a/rack1": 0.4,
        "eu/a/rack2": 0.4,
        "eu/b": 0.2,
    }


WORLD = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: web}
spec:
  host: web
  trafficPolicy:
    outlierDetection: {consecutive5xxErrors: 1}
    loadBalancer: {localityLbSetting: {failoverPriority: [version]}}
"""


@pytest.mark.parametrize("locality", ["eu/a", "us/c"])
def test_a_proxy_prefers_by_its_own_place_and_labels(locality: str) -> None:
    world = worlds.snapshot(WORLD)
    labels = {"version": "v2", "app": "sleep"}
    views = Views(world)
    proxy = Proxy(WorkloadKey("default", "sleep"), Role.SIDECAR, labels, locality=Locality.parse(locality))
    plan = build_plan(views.view_for(views.class_of(proxy)))
    (cluster,) = [each for each in plan.clusters if each.host == "web.default.svc.cluster.local"]
    assert cluster.spread == Preference(Locality.parse(locality), labels=(("version", "v2"),), by_place=False)


def test_classes_in_several_places_share_nothing_that_depends_on_the_place() -> None:
    world, cache = worlds.snapshot(WORLD), PlanCache()
    views = Views(world)
    seen = []
    for place in ("eu/a", "us/c"):
        proxy = Proxy(WorkloadKey("default", "sleep"), Role.SIDECAR, {}, locality=Locality.parse(place))
        plan = build_plan(views.view_for(views.class_of(proxy)), cache)
        seen += [each.spread.client for each in plan.clusters if isinstance(each.spread, Preference)]
    assert seen == [Locality("eu", "a"), Locality("us", "c")]


def test_a_failover_that_nothing_triggers_gets_a_diagnostic() -> None:
    world = WORLD.replace("    outlierDetection: {consecutive5xxErrors: 1}\n", "")
    said = [str(diagnostic) for diagnostic in worlds.plan(world).diagnostics]
    assert said == [
        "DestinationRule default/web spec.trafficPolicy.loadBalancer.localityLbSetting.failoverPriority: "
        "has no effect without outlierDetection, which finds out what fails"
    ]


def zones(**fields: Any) -> ZoneAwareLoadBalancing:
    return ZoneAwareLoadBalancing.model_validate(fields)


@pytest.mark.parametrize(
    ("fields", "ranks"),
    [
        pytest.param({}, [0, 0, 0, 1, 1], id="the region comes first as a whole"),
        pytest.param({"failover": [{"from": "eu", "to": "asia"}]}, [0, 0, 0, 2, 1], id="another one takes over"),
        pytest.param(
            {"failoverPriority": ["topology.kubernetes.io/zone=c"]}, [0, 0, 0, 1, 2], id="labels order the others only"
        ),
    ],
)
def test_awareness_of_zones_keeps_a_region_together(fields: dict[str, Any], ranks: list[int]) -> None:
    spread = localities.spread(zones(**fields), HERE, finds_failures=False)
    assert isinstance(spread, ZoneAwareness)
    assert localities.priorities(spread, endpoints(*PLACES)) == ranks


def test_a_client_that_is_nowhere_has_no_zone() -> None:
    assert localities.spread(zones(), Client(), finds_failures=True) is None


@pytest.mark.parametrize(
    ("own", "mesh", "acts"),
    [
        pytest.param({"zoneAwareLbSetting": {"minClusterSize": 1}}, None, 1, id="the rule's"),
        pytest.param({}, {"minClusterSize": 2}, 2, id="the mesh's, where the rule says nothing"),
        pytest.param(
            {"zoneAwareLbSetting": {"enabled": False}}, {"minClusterSize": 2}, None, id="not with enabled off"
        ),
        pytest.param({"localityLbSetting": {}}, {"minClusterSize": 2}, None, id="nor where the rule has the other"),
        pytest.param({}, {"enabled": False}, None, id="off in the mesh"),
    ],
)
def test_the_setting_about_zones_is_the_rules_or_the_meshs(
    own: dict[str, Any], mesh: dict[str, Any] | None, acts: int | None
) -> None:
    default = zones(**mesh) if mesh is not None else None
    setting = localities.setting_of(LoadBalancer.model_validate(own), None, default)
    assert (setting.min_cluster_size if isinstance(setting, ZoneAwareLoadBalancing) else None) == acts
