"""The WorkloadEntry that stands for a member of a WorkloadGroup, and the endpoint that the member is by it."""

from dataclasses import replace
from typing import cast

import pytest

from lateen.api import decode
from lateen.api.networking.workload_group import WorkloadGroup
from lateen.model import groups
from lateen.model.groups import Group
from lateen.model.registry import PortKey
from lateen.model.snapshot import Snapshot
from lateen.model.workload import HealthVerdict, Locality, Membership, Workload, WorkloadKey
from tests.model.meshes import config, mesh

GROUP = """
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: vms}
spec:
  metadata: {labels: {app: shop, tier: vm}, annotations: {team: blue}}
  template: {ports: {http: 9000}, network: far, locality: eu/a, weight: 3, serviceAccount: clerk}
"""
PROBED = GROUP + "  probe: {tcpSocket: {port: 9000}}\n"
ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  workloadSelector: {labels: {tier: vm}}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {tier: vm}, ports: [{name: http, port: 80, targetPort: 8080}]}
"""
HEADLESS = SERVICE.replace("spec: {", "spec: {clusterIP: None, publishNotReadyAddresses: true, ")
WELL, ILL = HealthVerdict(True, 1.0), HealthVerdict(False, 1.0, "no answer")


def group(text: str = GROUP) -> Group:
    """The group of some YAML."""
    return cast(Group, config(text).of(WorkloadGroup)[0])


def member(verdict: HealthVerdict | None = None, **labels: str) -> Workload:
    """A ready pod that is to register in the group."""
    return Workload(
        WorkloadKey("default", "vm-1"), "10.0.0.1", labels, "clerk", owner="vm", membership=Membership("vms", verdict)
    )


def endpoints(snapshot: Snapshot, host: str) -> list[tuple[str, int]]:
    return [(one.address, one.port) for one in snapshot.endpoints[PortKey(host, 80)]]


@pytest.mark.parametrize(
    ("name", "address", "network", "expected"),
    [
        ("vms", "10.0.0.1", "", "vms-10.0.0.1"),
        ("vms", "10.0.0.1", "far", "vms-10.0.0.1-far"),
        ("vms", "2001:db8::1", "", "vms-2001-db8--1"),
        ("v" * 253, "10.0.0.1", "", "v" * 244 + "-10.0.0.1"),
    ],
)
def test_entries_are_named_as_istio_names_them(name: str, address: str, network: str, expected: str) -> None:
    assert groups.entry_name(name, address, network) == expected


def test_a_registered_member_has_what_its_group_says() -> None:
    seen = groups.registered(member(version="v1"), group())
    assert seen.labels == {"app": "shop", "tier": "vm", "version": "v1"}
    assert (seen.locality, seen.network, seen.weight) == (Locality("eu", "a"), "far", 3)
    assert (seen.is_registered, seen.is_offered, seen.entry_ports) == (True, True, {"http": 9000})


def test_what_a_workload_says_of_itself_wins() -> None:
    own = replace(member(app="own"), locality=Locality("us"), network="near")
    seen = groups.registered(own, group())
    assert (seen.labels["app"], seen.locality, seen.network) == ("own", Locality("us"), "near")


def test_an_entry_reads_as_one_that_a_user_could_have_written() -> None:
    seen = groups.registered(member(version="v1"), group(PROBED))
    made = groups.entry_of(seen, group(PROBED), {"istio.io/connectedAt": "now"}, "2026-01-01T00:00:00Z")
    (read,) = decode.decode_mapping(decode.encode(made)).objects
    assert (read.key, read.spec) == (made.key, made.spec)
    assert decode.encode(made)["spec"] == {
        "address": "10.0.0.1",
        "ports": {"http": 9000},
        "labels": {"app": "shop", "tier": "vm", "version": "v1"},
        "network": "far",
        "locality": "eu/a",
        "weight": 3,
        "serviceAccount": "clerk",
    }
    assert made.metadata.annotations == {
        "istio.io/autoRegistrationGroup": "vms",
        "team": "blue",
        "proxy.istio.io/health-checks-enabled": "true",
        "istio.io/connectedAt": "now",
    }


def test_a_member_is_one_endpoint_of_what_selects_it_by_the_ports_of_its_entry() -> None:
    snapshot = mesh(f"{ENTRY}---{SERVICE}", groups.registered(member(), group()))
    assert endpoints(snapshot, "shop.example") == [("10.0.0.1", 9000)]
    assert endpoints(snapshot, "shop.default.svc.cluster.local") == [("10.0.0.1", 9000)]


def test_a_member_that_is_not_registered_is_no_endpoint_even_by_its_own_labels() -> None:
    snapshot = mesh(f"{ENTRY}---{HEADLESS}", member(tier="vm"))
    assert endpoints(snapshot, "shop.example") == endpoints(snapshot, "shop.default.svc.cluster.local") == []
    assert snapshot.services["shop.example"].accounts == ()


@pytest.mark.parametrize(("verdict", "expected"), [(None, []), (ILL, []), (WELL, [("10.0.0.1", 9000)])])
@pytest.mark.parametrize("selecting", [SERVICE, HEADLESS])
def test_a_member_with_a_probe_is_an_endpoint_once_it_has_succeeded(
    verdict: HealthVerdict | None, expected: list[tuple[str, int]], selecting: str
) -> None:
    snapshot = mesh(selecting, groups.registered(member(verdict), group(PROBED)))
    assert endpoints(snapshot, "shop.default.svc.cluster.local") == expected


def test_who_may_serve_does_not_depend_on_health() -> None:
    well, ill = (mesh(ENTRY, groups.registered(member(each), group(PROBED))) for each in (WELL, ILL))
    assert well.services["shop.example"].accounts == ill.services["shop.example"].accounts != ()


def test_one_that_was_an_endpoint_before_there_was_a_probe_stays_one_until_it_fails() -> None:
    assert groups.registered(member(), group(PROBED), was_offered_unasked=True).is_offered
    assert not groups.registered(member(ILL), group(PROBED), was_offered_unasked=True).is_offered


def test_an_unready_pod_is_no_endpoint_however_healthy() -> None:
    assert not groups.registered(replace(member(WELL), ready=False), group(PROBED)).is_offered


def test_contradictions_name_the_field_and_what_counts() -> None:
    own = replace(member(app="own", tier="vm"), service_account="boss", locality=Locality("us"), network="near")
    own = replace(own, ports={"http": 8080, "admin": 9999})
    found = {one.path: one.message for one in groups.contradictions(own, group())}
    assert list(found) == [
        "spec.template.serviceAccount",
        "spec.metadata.labels.app",
        "spec.template.ports.http",
        "spec.template.locality",
        "spec.template.network",
    ]
    assert "member vm runs as boss" in found["spec.template.serviceAccount"]
    assert list(groups.contradictions(groups.registered(member(), group()), group())) == []
