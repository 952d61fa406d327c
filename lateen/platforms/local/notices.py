"""What the local platform leaves out of a pod that was written for a cluster, said once for each owner. Pure."""

from collections.abc import Iterator

from lateen.api.structs import without_effect
from lateen.platforms.local import annotations, volumes
from lateen.platforms.local.pods import Owner
from lateen.platforms.local.report import Notice


def notices_of(owner: Owner) -> tuple[Notice, ...]:
    """List what is other here than in a cluster; one notice names all that has no effect."""
    return tuple(Notice(subject=owner.label, namespace=owner.namespace, text=text) for text in _texts(owner))


def _texts(owner: Owner) -> Iterator[str]:
    if ignored := sorted(set(_ignored(owner))):
        yield f"has no effect here: {', '.join(ignored)}"
    if kept := (*owner.claims, *volumes.claims(owner.template.spec)):
        yield f"keeps what is written to {' and '.join(kept)} until the mesh ends"
    yield from volumes.notices(owner.template.spec)
    yield from annotations.doubtful(owner.template.metadata.annotations)


def _ignored(owner: Owner) -> Iterator[str]:
    yield from owner.ignored
    pod = owner.template.spec
    foreign = {volume.foreign for volume in pod.volumes}
    yield from (name for path in without_effect(pod) if (name := path.rpartition(".")[2]) not in foreign)
    yield from volumes.foreign(pod)
