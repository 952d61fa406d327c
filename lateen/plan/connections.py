"""The tcp rules of VirtualServices: where connections that are not looked into go."""

from collections.abc import Iterable

from lateen.api.networking.virtual_service import TcpRoute, VirtualService
from lateen.api.objects import ConfigObject
from lateen.plan import destinations, matches
from lateen.plan.destinations import Site
from lateen.plan.diagnostics import Notes, below
from lateen.plan.directory import Directory
from lateen.plan.matches import Vantage
from lateen.plan.types import Origin, TcpChain


def chain(
    items: Iterable[ConfigObject[VirtualService]], vantage: Vantage, directory: Directory, notes: Notes
) -> TcpChain | None:
    """Return where the first tcp rule that holds here sends connections, or None when no rule does."""
    for item in items:
        for position, rule in enumerate(item.spec.tcp):
            at = Origin(item.key, f"spec.tcp[{position}]")
            if _holds(rule, vantage, item.namespace, at, notes):
                targets = destinations.connection_targets(
                    rule.route, Site(directory, item.namespace, vantage.port, at, notes)
                )
                return directory.cache.intern(TcpChain(targets, origin=at))
    return None


def _holds(rule: TcpRoute, vantage: Vantage, owner: str, at: Origin, notes: Notes) -> bool:
    if not rule.match:
        return True
    for position, condition in enumerate(rule.match):
        if condition.destination_subnets:
            notes.add(
                below(at, f"match[{position}].destinationSubnets"), "never matches: subnets are not told apart yet"
            )
        elif matches.concerns(condition, vantage, owner):
            return True
    return False
