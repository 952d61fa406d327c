"""What telemetry calls a workload: Istio's canonical service and revision, its app and version."""

from collections.abc import Mapping

from lateen.names import LATEST, PeerName


def peer_name(workload: str, labels: Mapping[str, str]) -> PeerName:
    """Describe the instances that `workload`, such as a Deployment, runs with these labels."""
    return PeerName(
        workload,
        labels.get("app", ""),
        labels.get("version", ""),
        canonical_service(workload, labels),
        canonical_revision(labels),
    )


def canonical_service(workload: str, labels: Mapping[str, str]) -> str:
    """Name the service that a workload is part of: as its labels say, else by its own name."""
    return (
        labels.get("service.istio.io/canonical-name")
        or labels.get("app.kubernetes.io/name")
        or labels.get("app")
        or workload
    )


def canonical_revision(labels: Mapping[str, str]) -> str:
    """Name the version of that service."""
    return (
        labels.get("service.istio.io/canonical-revision")
        or labels.get("app.kubernetes.io/version")
        or labels.get("version")
        or LATEST
    )
