"""What the local platform leaves out of a pod that was written for a cluster, said once for each owner. Pure."""

from collections.abc import Iterator

from lateen.api.structs import without_effect
from lateen.platforms.local.pods import Owner
from lateen.platforms.local.report import Notice


def notices_of(owner: Owner) -> tuple[Notice, ...]:
    """List what has no effect here; one notice names all of it."""
    ignored = sorted(set(_ignored(owner)))
    if not ignored:
        return ()
    text = f"has no effect here: {', '.join(ignored)}"
    return (Notice(subject=owner.label, namespace=owner.namespace, text=text),)


def _ignored(owner: Owner) -> Iterator[str]:
    yield from owner.ignored
    pod = owner.template.spec
    yield from (path.rpartition(".")[2] for path in without_effect(pod))
    if pod.volumes:
        yield f"volumes ({', '.join(volume.name for volume in pod.volumes)})"
