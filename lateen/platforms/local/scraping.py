"""Where the metrics of this machine's pods are."""

from lateen.platforms.local import pods
from lateen.platforms.local.pod_life import PodLife
from lateen.platforms.local.pods import PodDesign
from lateen.telemetry import targets
from lateen.telemetry.targets import ScrapeTarget


def scrape_target(life: PodLife, merges: bool = True) -> ScrapeTarget:
    """Say where a pod's metrics are. `merges` is what the mesh says of applications' own metrics."""
    design, row = life.design, life.row
    return ScrapeTarget(
        namespace=design.namespace,
        name=design.name,
        app=row.app,
        version=row.version,
        role=row.role,
        admin_socket=row.admin_socket,
        application_url=application_url(design, merges),
        is_ready=row.is_ready,
    )


def application_url(design: PodDesign, merges: bool = True) -> str:
    """Say where a pod's application tells its own metrics; empty where it does not, or where they stay apart."""
    declared = (pods.first_tcp_port(each) for each in design.app_containers)
    first = next((port for port in declared if port is not None), None)
    return targets.application_url(design.annotations, address=design.address, declared_port=first, merges=merges)
