"""What a proxy's environment says of the proxy itself: tags of spans and OpenTelemetry's resources are made of it."""

from dataclasses import asdict

from lateen import names
from lateen.model.peer_names import peer_name
from lateen.names import PeerName
from lateen.plan.compact_labels import BETWEEN_FACTS, FACTS
from lateen.platforms.local import pods
from lateen.platforms.local.pods import PodDesign


def proxy_environment(design: PodDesign) -> dict[str, str]:
    """Return the variables by which Istio's proxies know themselves, and what OpenTelemetry asks for."""
    known = peer_name(design.owner_name, design.labels)
    return {
        "POD_NAME": design.name,
        "POD_NAMESPACE": design.namespace,
        "INSTANCE_IP": design.address,
        "SERVICE_ACCOUNT": design.spec.account,
        "WORKLOAD_FACTS": _facts(known, design.namespace),
        "WORKLOAD_NAME": known.workload,
        "WORKLOAD_APP": known.app or names.UNKNOWN,
        "WORKLOAD_VERSION": known.version or names.UNKNOWN,
        "CANONICAL_SERVICE": known.service,
        "CANONICAL_REVISION": known.revision,
        "CLUSTER_ID": names.MESH_CLUSTER,
        "MESH_ID": names.DEFAULT_DOMAIN,
        "OTEL_RESOURCE_ATTRIBUTES": _resource(design),
    }


def _facts(known: PeerName, namespace: str) -> str:
    """Write down what metrics say of the proxy's own end of a call."""
    said = {**asdict(known), "namespace": namespace, "cluster": names.MESH_CLUSTER}
    return BETWEEN_FACTS.join(said[fact] or names.UNKNOWN for fact in FACTS)


def _resource(design: PodDesign) -> str:
    """Write down what OpenTelemetry's environment resource detector reads."""
    app, version = pods.app_and_version(design.labels)
    attributes = {
        "service.name": f"{app or design.owner_name}.{design.namespace}",
        "service.version": version,
        "service.instance.id": f"{design.name}.{design.namespace}",
        "k8s.namespace.name": design.namespace,
        "k8s.pod.name": design.name,
    }
    return ",".join(f"{name}={value}" for name, value in attributes.items() if value)
