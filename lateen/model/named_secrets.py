"""Which Secrets a class of proxies takes certificates from: those that its Gateways and DestinationRules name."""

from collections.abc import Iterable, Iterator

from lateen import names
from lateen.api.networking.destination_rule import DestinationRule
from lateen.api.networking.gateway import Gateway, ServerTls
from lateen.api.networking.sidecar import Sidecar
from lateen.api.networking.tls import ClientTls


def of_gateways(gateways: Iterable[Gateway]) -> Iterator[str]:
    """Yield the names of the Secrets that gateways' servers may need, those with authorities included."""
    for gateway in gateways:
        for server in gateway.servers:
            if server.tls is not None:
                yield from _of_server(server.tls)


def of_sidecar(sidecar: Sidecar) -> Iterator[str]:
    """Yield the names of the Secrets that the ports of selected workloads need; without a selector there are none."""
    if sidecar.workload_selector is not None and sidecar.workload_selector.labels:
        for listener in sidecar.ingress:
            if listener.tls is not None:
                yield from _of_server(listener.tls)


def _of_server(tls: ServerTls) -> Iterator[str]:
    for credential in (*tls.credentials, tls.ca_cert_credential_name):
        yield from _with_authorities(credential)


def of_rules(rules: Iterable[DestinationRule]) -> Iterator[str]:
    """Yield the names of the Secrets that DestinationRules have their clients take certificates from."""
    for rule in rules:
        for tls in _client_tls(rule):
            yield from _with_authorities(tls.credential_name)


def _with_authorities(credential: str) -> Iterator[str]:
    """Yield a Secret's own name and the one that only its authorities may be in."""
    if credential:
        name = names.secret_of_credential(credential)
        yield name
        yield f"{name}{names.AUTHORITY_SUFFIX}"


def _client_tls(rule: DestinationRule) -> Iterator[ClientTls]:
    for policy in (rule.traffic_policy, *(subset.traffic_policy for subset in rule.subsets)):
        if policy is not None:
            for tls in (policy.tls, *(port.tls for port in policy.port_level_settings)):
                if tls is not None:
                    yield tls
