"""Who has which server name on a port. A name is the most specific that fits: itself, else the longest wildcard."""

from collections.abc import Iterable
from dataclasses import replace

from lateen.model import visibility
from lateen.plan.diagnostics import Doubt, Notes
from lateen.plan.types import NamedChain, Origin

EVERY_NAME = "*"


class NameTable:
    """The server names of one port with who claimed them: the first one has a name."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._owners: dict[str, Origin] = {}

    def claim(self, names: Iterable[str], owner: Origin, notes: Notes) -> tuple[str, ...]:
        """Take those names that nobody has; note the others."""
        taken = []
        for name in dict.fromkeys(names):
            first = self._owners.setdefault(name, owner)
            if first is owner:
                taken.append(name)
            else:
                what = "TLS for every name" if name == EVERY_NAME else f"TLS for {name}"
                notes.add(
                    owner,
                    f"{what} on port {self._port} already belongs to {first}: its connections go there",
                    Doubt.OVERRULED,
                )
        return tuple(taken)

    def has(self, name: str) -> bool:
        """Tell whether somebody has exactly this name."""
        return name in self._owners

    def owner(self, host: str) -> Origin | None:
        """Find who gets the connections for a host, or for all the hosts of a wildcard."""
        if host in self._owners:
            return self._owners[host]
        covering = [name for name in self._owners if name.startswith("*") and visibility.host_matches(name, host)]
        return self._owners[max(covering, key=len)] if covering else None

    def of_others(self, owner: Origin) -> tuple[str, ...]:
        """List the names that others have, in order."""
        return tuple(sorted(name for name, other in self._owners.items() if other != owner))


def split(named: NamedChain) -> tuple[NamedChain, ...]:
    """Return one chain for the names, and another one for all names if that is asked for."""
    if EVERY_NAME not in named.server_names:
        return (named,)
    rest = tuple(name for name in named.server_names if name != EVERY_NAME)
    everything = replace(named, server_names=())
    return (replace(named, server_names=rest), everything) if rest else (everything,)
