"""Which namespaces and pods take part in the mesh, where what is written about it is doubtful."""

from typing import Final

from lateen.api.core.pod import Pod
from lateen.plan.analysis.world import Found, Template, World, at

INJECTION: Final = "istio-injection"
REVISION: Final = "istio.io/rev"
_INJECT: Final = "sidecar.istio.io/inject"
_TEMPLATES: Final = "inject.istio.io/templates"
_AUTO: Final = "auto"


def several_labels(world: World) -> Found:
    """Yield namespaces with both labels for injection."""
    for item in world.namespaces.values():
        labels = item.metadata.labels
        if INJECTION in labels and REVISION in labels:
            yield (
                at(item.key, "metadata.labels"),
                f"has {INJECTION} and {REVISION}: {INJECTION} counts, take the other away",
            )


def enabled_by_default(world: World) -> Found:
    """Yield namespaces that say nothing: their workloads get proxies."""
    for item in world.namespaces.values():
        is_own = item.name == world.mesh.root_namespace
        if not is_own and INJECTION not in item.metadata.labels and REVISION not in item.metadata.labels:
            yield (
                at(item.key),
                f"its workloads get proxies, as is usual here; {INJECTION}: disabled would keep them out",
            )


def bare_templates(world: World) -> Found:
    """Yield Deployments and StatefulSets with `image: auto` whose pods get no proxy."""
    yield from _bare(world, [one for one in world.templates if not isinstance(one.owner.spec, Pod)])


def bare_pods(world: World) -> Found:
    """Yield pods with `image: auto` that get no proxy."""
    yield from _bare(world, [one for one in world.templates if isinstance(one.owner.spec, Pod)])


def _bare(world: World, templates: list[Template]) -> Found:
    for template in templates:
        images = [container.image for container in template.spec.containers]
        if _AUTO in images and not _is_injected(world, template):
            path = ".".join(filter(None, (template.path, f"spec.containers[{images.index(_AUTO)}].image")))
            yield at(template.owner.key, path), "stays auto, which is no program: the pod gets no proxy"


def _is_injected(world: World, template: Template) -> bool:
    """Tell whether pods get a proxy, as the platform decides it from labels and annotations."""
    if "gateway" in (template.annotations.get(_TEMPLATES) or template.labels.get(_TEMPLATES, "")):
        return True
    wish = (template.labels.get(_INJECT) or template.annotations.get(_INJECT, "")).lower()
    refused = world.namespace_labels(template.owner.namespace).get(INJECTION, "").lower() == "disabled"
    return wish != "false" and (not refused or wish == "true")
