"""The control plane's own numbers."""

from lateen.serving import metrics
from lateen.serving.metrics import ControlPlane, Expiry
from lateen.telemetry import exposition
from lateen.telemetry.instruments import Counter
from tests.plan import worlds
from tests.serving.small_mesh import NOW, SmallLoop, SmallMesh


class KnowingLoop(SmallLoop):
    """A loop that knows the mesh as it is."""

    snapshot = worlds.snapshot(worlds.SHOP)


def told(*measured: Counter) -> list[str]:
    """The lines of all numbers of a small mesh, without those that change by themselves."""
    mesh = SmallMesh(loop=KnowingLoop())
    plane = ControlPlane(
        "0.1.0", NOW - 60, mesh.store, mesh.loop, mesh.proxies, lambda: Expiry(NOW + 5, NOW + 2), lambda: NOW
    )  # type: ignore[arg-type]
    lines = exposition.write(metrics.registry(plane, measured).families()).splitlines()
    return [line for line in lines if not line.startswith(("#", "process_"))]


def test_everything_that_is_known_is_told() -> None:
    count = Counter("pilot_xds_pushes", "Pushes.", "type")
    count.add(2, "cds")
    assert told(count) == [
        'istio_build{component="pilot",tag="0.1.0"} 1',
        'pilot_info{version="0.1.0"} 1',
        "istiod_uptime_seconds 60",
        "lateen_config_generation 1",
        "lateen_config_violations 0",
        'lateen_config_objects{kind="Deployment"} 1',
        'lateen_config_objects{kind="Service"} 1',
        "pilot_services 2",
        "pilot_virt_services 0",
        'pilot_xds{version="0.1.0"} 2',
        'lateen_proxies{state="not sent"} 0',
        'lateen_proxies{state="synced"} 1',
        'lateen_proxies{state="stale"} 0',
        'lateen_proxies{state="error"} 1',
        'pilot_xds_rds_reject{node="ratings-v1-1.default"} 1',
        'pilot_xds_pushes{type="cds"} 2',
        f"citadel_server_root_cert_expiry_timestamp {NOW + 5:.0f}",
        "citadel_server_root_cert_expiry_seconds 5",
        f"citadel_server_cert_chain_expiry_timestamp {NOW + 2:.0f}",
    ]


def test_what_the_process_costs_is_told() -> None:
    mesh = SmallMesh(loop=KnowingLoop())
    plane = ControlPlane("0.1.0", NOW, mesh.store, mesh.loop, mesh.proxies)  # type: ignore[arg-type]
    samples = {
        sample.name: sample.value for sample in exposition.samples(exposition.write(metrics.registry(plane).families()))
    }
    assert samples["process_resident_memory_bytes"] > 1_000_000
    assert samples["process_cpu_seconds_total"] > 0
    assert samples["process_open_fds"] > 0
