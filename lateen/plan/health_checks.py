"""Which of a host's HealthChecks acts on one of its ports, and how endpoints are asked then."""

from collections.abc import Sequence

from lateen.api.objects import ConfigObject
from lateen.api.traffic.health_check import HealthCheck, HttpCheck
from lateen.model.service import Service, ServicePort
from lateen.plan.destination_types import GrpcProbe, HealthProbe, HttpProbe, TcpProbe


def probe(checks: Sequence[ConfigObject[HealthCheck]], service: Service, port: ServicePort) -> HealthProbe | None:
    """Settle how a port's endpoints are asked: as the first check for that port says, else the first for all ports."""
    in_order = (item.spec for number in (port.number, None) for item in checks if item.spec.port == number)
    check = next(in_order, None)
    if check is None:
        return None
    return HealthProbe(
        ask=_question(check, service),
        interval=check.interval,
        timeout=check.timeout,
        failures=check.unhealthy_threshold,
        successes=check.healthy_threshold,
    )


def _question(check: HealthCheck, service: Service) -> HttpProbe | GrpcProbe | TcpProbe:
    if check.http is not None:
        return _http(check.http, service)
    if check.grpc is not None:
        return GrpcProbe(check.grpc.service, service.host)
    said = check.tcp
    return TcpProbe(said.send.encode(), said.receive.encode()) if said else TcpProbe()


def _http(check: HttpCheck, service: Service) -> HttpProbe:
    return HttpProbe(
        path=check.path,
        host=check.host or service.host,
        headers=tuple((header.name, header.value) for header in check.headers),
        statuses=tuple((each.start, each.end) for each in check.expected_statuses),
    )
