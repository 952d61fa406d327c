"""The mesh that files describe, for commands that need none to run."""

import gc
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from lateen.api.kinds import MIXER_GROUP
from lateen.cli import validate
from lateen.cli.failures import BadInput

if TYPE_CHECKING:
    from lateen.api.config_set import ConfigSet
    from lateen.plan.explain.plans import Plans

_PATCHES: Final = "EnvoyFilter"


def config_of(filenames: Iterable[str], namespace: str) -> "ConfigSet":
    """Read the objects of files; raises `BadInput` where one of them would be refused."""
    from lateen.api.config_set import ConfigSet

    gc.disable()  # the process ends soon, and what it reads stays until then
    decoded = validate.read(filenames, namespace)
    if decoded.errors:
        raise BadInput("the files are not valid", [str(each) for each in decoded.errors])
    return ConfigSet(decoded.objects)


def plans_of(filenames: Iterable[str], namespace: str) -> "Plans":
    """Return what the proxies of the mesh that files describe would do."""
    from lateen.plan.explain.plans import Plans
    from lateen.platforms.local import described

    snapshot = described.snapshot(config_of(filenames, namespace))
    if not any(item.key.group == MIXER_GROUP or item.key.kind == _PATCHES for item in snapshot.config):
        # Files without such objects are explained without what reads them, which takes time to load.
        return Plans(snapshot)
    from lateen.manager.beyond import BeyondPlans

    return Plans(snapshot, beyond=BeyondPlans())
