"""From config to pods: names, labels, fingerprints, and how a pod takes part in the mesh."""

from pathlib import Path

import pytest

from lateen.api.config_set import ConfigSet
from lateen.api.decode import decode_yaml
from lateen.model.proxy import Role
from lateen.model.workload import HealthVerdict, Locality
from lateen.platforms.local import described, pods, remembered
from lateen.platforms.local.container_life import ContainerMemory
from lateen.platforms.local.injection import choose_injection, read_interception, takes_all
from lateen.platforms.local.notices import notices_of
from lateen.platforms.local.pod_life import PodMemory, sandbox_spec
from lateen.platforms.local.remembered import Remembered, RememberedPod
from lateen.platforms.local.rollouts import Strategy

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  strategy: {rollingUpdate: {maxSurge: 50%, maxUnavailable: 1}}
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, istio-locality: eu.west.a}}
    spec:
      serviceAccountName: seller
      affinity: {}
      volumes: [{name: tmp, emptyDir: {}}]
      containers:
      - {name: web, image: i, command: [x], resources: {limits: {cpu: 1}}, ports: [{name: http, containerPort: 8000}]}
"""
STATEFUL_SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: data}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, command: [x]}]}}
"""


def owner(text: str) -> pods.Owner:
    decoded = decode_yaml(text, "/config/app.yaml")
    assert not decoded.violations
    (found,) = pods.desired_owners(ConfigSet(decoded.objects))
    return found


def test_a_deployment_wants_pods_of_its_template() -> None:
    web = owner(DEPLOYMENT)
    assert (web.label, web.replicas.count, web.folder) == ("Deployment/web", 4, "/config")
    assert web.replicas.strategy == Strategy(max_surge=2, max_unavailable=1)


def test_the_fingerprint_changes_with_the_template_and_with_nothing_else() -> None:
    revision = owner(DEPLOYMENT).replicas.revision
    assert owner(DEPLOYMENT.replace("replicas: 4", "replicas: 1")).replicas.revision == revision
    assert owner(DEPLOYMENT.replace("[x]", "[y]")).replicas.revision != revision


def test_a_deployments_pod_as_the_mesh_sees_it() -> None:
    web = owner(DEPLOYMENT)
    design = pods.design_pod(web, f"web-{web.replicas.revision}-abcde", "10.244.1.1")
    workload = pods.workload(design, ready=False, proxied=True)
    assert str(workload.key) == f"web-{web.replicas.revision}-abcde.default"
    assert workload.labels["pod-template-hash"] == web.replicas.revision
    assert (workload.owner, workload.service_account, workload.ports) == ("web", "seller", {"http": 8000})
    assert workload.locality == Locality("eu", "west", "a")
    assert (workload.hostname, workload.subdomain) == ("", "")


def test_a_stateful_sets_pod_has_a_lasting_name() -> None:
    design = pods.design_pod(owner(STATEFUL_SET), "db-0", "10.244.1.2")
    workload = pods.workload(design, ready=True, proxied=True)
    assert workload.labels["statefulset.kubernetes.io/pod-name"] == "db-0"
    assert (workload.hostname, workload.subdomain) == ("db-0", "db")
    spec = sandbox_spec(design, choose_injection({}, {}, {}))
    assert spec.hosts == {"db-0.db.data.svc.cluster.local": "10.244.1.2"}
    assert spec.search[0] == "data.svc.cluster.local"


def test_what_has_no_effect_is_named_in_one_notice() -> None:
    (notice,) = notices_of(owner(DEPLOYMENT))
    assert (notice.subject, notice.text) == (
        "Deployment/web",
        "has no effect here: affinity, resources",
    )
    assert notices_of(owner(STATEFUL_SET)) == ()


@pytest.mark.parametrize(
    ("labels", "annotations", "namespace", "role"),
    [
        ({}, {}, {}, Role.SIDECAR),
        ({"sidecar.istio.io/inject": "false"}, {}, {}, None),
        ({}, {"sidecar.istio.io/inject": "false"}, {}, None),
        ({}, {}, {"istio-injection": "disabled"}, None),
        ({"sidecar.istio.io/inject": "true"}, {}, {"istio-injection": "disabled"}, Role.SIDECAR),
        ({}, {"inject.istio.io/templates": "gateway"}, {}, Role.GATEWAY),
    ],
)
def test_injection(
    labels: dict[str, str], annotations: dict[str, str], namespace: dict[str, str], role: Role | None
) -> None:
    found = choose_injection(labels, annotations, namespace)
    assert found.role == role
    assert (found.interception is not None) == (role is Role.SIDECAR)


def test_traffic_annotations() -> None:
    prefix = "traffic.sidecar.istio.io/"
    found, problems = read_interception(
        {
            f"{prefix}includeInboundPorts": "",
            f"{prefix}excludeOutboundPorts": "5432, http, 6379",
            f"{prefix}includeOutboundIPRanges": "10.0.0.0/8",
        }
    )
    assert found.include_inbound_ports == ()
    assert found.exclude_outbound_ports == (5432, 6379)
    assert found.include_outbound_ip_ranges == ("10.0.0.0/8",)
    assert problems == (f"annotation {prefix}excludeOutboundPorts: 'http' is not a port number",)
    assert read_interception({})[0].include_inbound_ports is None


@pytest.mark.parametrize(
    ("role", "annotation", "expected"),
    [
        (Role.SIDECAR, {}, True),
        (Role.SIDECAR, {"excludeInboundPorts": "22"}, True),
        (Role.SIDECAR, {"excludeOutboundPorts": "5432"}, False),
        (Role.SIDECAR, {"excludeOutboundIPRanges": "10.0.0.0/8"}, False),
        (Role.SIDECAR, {"includeOutboundIPRanges": ""}, False),
        (Role.GATEWAY, {}, False),
        (None, {}, False),
    ],
)
def test_whose_connections_are_all_taken(role: Role | None, annotation: dict[str, str], expected: bool) -> None:
    assert takes_all(role, {f"traffic.sidecar.istio.io/{name}": text for name, text in annotation.items()}) is expected


def test_what_is_written_down_is_read_back(tmp_path: Path) -> None:
    design = pods.design_pod(owner(DEPLOYMENT), "web-1", "10.244.1.1")
    memory = PodMemory(
        created=1.5,
        containers={"web": ContainerMemory(pid=7, start_time=9, ready=True)},
        group="vms",
        network="far",
        verdict=HealthVerdict(False, 2.5, "no answer"),
    )
    pod = RememberedPod(design=design, role=Role.SIDECAR, memory=memory)
    written = Remembered(pods=(pod,), last_address="10.244.1.1", host_ports={"default/web:80": 8080})
    remembered.write(tmp_path / "agent.json", written)
    assert remembered.read(tmp_path / "agent.json") == written
    assert remembered.read(tmp_path / "none.json") == Remembered()


@pytest.mark.parametrize(
    ("text", "expected", "problems"),
    [
        ("tracing: {sampling: 10, maxPathTagLength: 9}", '{"tracing": {"maxPathTagLength": 9, "sampling": 10}}', 0),
        ("concurrency: 2", "", 0),
        ("tracing: {sampling: 101}", "", 1),
    ],
)
def test_a_pod_s_own_settings_for_traces_go_with_its_workload(text: str, expected: str, problems: int) -> None:
    annotated = DEPLOYMENT.replace(
        "metadata: {labels", f"metadata: {{annotations: {{proxy.istio.io/config: '{text}'}}, labels"
    )
    design = pods.design_pod(owner(annotated), "web-1", "10.244.1.1")
    assert pods.workload(design, ready=True, proxied=True).settings == expected
    assert len(pods.injection_of(design, ConfigSet()).problems) == problems


MEMBERS = (
    'metadata: {annotations: {proxy.istio.io/config: "proxyMetadata: '
    '{ISTIO_META_AUTO_REGISTER_GROUP: vms, ISTIO_META_NETWORK: far}"}, labels'
)
GROUP = "---\n{apiVersion: networking.istio.io/v1, kind: WorkloadGroup, metadata: {name: vms}, spec: {metadata: {labels: {tier: vm}}, template: {}}}\n"


@pytest.mark.parametrize(
    ("written", "registered"), [("", ""), (GROUP, "vms--far"), (GROUP.replace("{name: vms}", "{name: others}"), "")]
)
def test_files_describe_members_as_registered_where_their_group_is_written(written: str, registered: str) -> None:
    text = DEPLOYMENT.replace("metadata: {labels", MEMBERS)
    (workload,) = described.snapshot(ConfigSet(decode_yaml(f"{text}\n{written}", "/config/a.yaml").objects)).workloads
    assert workload.membership is not None
    assert (workload.membership.group, workload.membership.entry) == ("vms", registered)
    assert workload.labels.get("tier") == ("vm" if registered else None)
