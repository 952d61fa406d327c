"""Objects in namespaces of which proxies do not know."""

from collections.abc import Iterable
from typing import Final

from lateen.api.kinds import KINDS, MIXER_GROUP
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.objects import ConfigObject
from lateen.api.structs import Struct
from lateen.model.discovery import is_discovered
from lateen.plan.analysis.world import Found, World, at

_GROUPS: Final = ("networking.istio.io", "security.istio.io", "telemetry.istio.io", "lateen.dev", MIXER_GROUP)
_NOT_CHOSEN: Final = "has no effect: discoverySelectors of MeshConfig do not choose namespace {}"


def undiscovered(world: World) -> Found:
    """Yield what is written for proxies in namespaces that no selector of MeshConfig chooses."""
    if not world.mesh.discovery_selectors:
        return
    everything = world.snapshot.inputs.config
    is_known = is_discovered(everything, world.mesh)
    for row in KINDS:
        if row.group in _GROUPS and row.spec is not MeshConfig:
            written: Iterable[ConfigObject[Struct]] = everything.of(row)
            for item in written:
                if not is_known(item.namespace):
                    yield at(item.key), _NOT_CHOSEN.format(item.namespace)
