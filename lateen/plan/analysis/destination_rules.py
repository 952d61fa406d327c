"""DestinationRules whose TLS believes more than it seems to."""

from collections.abc import Iterator

from lateen.api.networking.destination_rule import DestinationRule, TrafficPolicy
from lateen.api.networking.tls import ClientTls, ClientTlsMode
from lateen.api.objects import ConfigObject
from lateen.api.traffic.expansion import EXPANDED_FROM
from lateen.plan.analysis.world import Found, World, at

_ORIGINATED = (ClientTlsMode.SIMPLE, ClientTlsMode.MUTUAL)


def believing_everybody(world: World) -> Found:
    """Yield rules with TLS for all ports that name no authorities."""
    for item, path, policy in _policies(world):
        if policy.tls is not None and _names_none(policy.tls):
            yield at(item.key, f"{path}.tls"), _says(policy.tls)


def believing_at_ports(world: World) -> Found:
    """Yield rules with TLS for a port that name no authorities."""
    for item, path, policy in _policies(world):
        for position, setting in enumerate(policy.port_level_settings):
            if setting.tls is not None and _names_none(setting.tls):
                yield at(item.key, f"{path}.portLevelSettings[{position}].tls"), _says(setting.tls)


def _policies(world: World) -> Iterator[tuple[ConfigObject[DestinationRule], str, TrafficPolicy]]:
    for item in world.all(DestinationRule):
        if EXPANDED_FROM in item.metadata.annotations:
            continue
        if item.spec.traffic_policy is not None:
            yield item, "spec.trafficPolicy", item.spec.traffic_policy
        for position, subset in enumerate(item.spec.subsets):
            if subset.traffic_policy is not None:
                yield item, f"spec.subsets[{position}].trafficPolicy", subset.traffic_policy


def _names_none(tls: ClientTls) -> bool:
    return tls.mode in _ORIGINATED and not (tls.ca_certificates or tls.credential_name)


def _says(tls: ClientTls) -> str:
    if tls.insecure_skip_verify:
        return "the server's certificate is not verified: name caCertificates or credentialName instead"
    return "no caCertificates are named: every authority that the operating system believes can vouch for the server"
