"""Which namespaces proxies know of: `discoverySelectors` of MeshConfig."""

from collections.abc import Callable
from typing import Final

from lateen.api.config_set import ConfigSet
from lateen.api.core.namespace import Namespace
from lateen.api.mesh.mesh_config import MeshConfig

NAME_LABEL: Final = "kubernetes.io/metadata.name"
"""The label with its name that every namespace has in Kubernetes, also one that nobody wrote down."""


def discovered(config: ConfigSet, mesh: MeshConfig, before: ConfigSet) -> ConfigSet:
    """Return what proxies know of a configuration: the objects of the namespaces that any selector chooses.

    Without selectors these are all. The root namespace, and what belongs to no namespace, always count. What is the
    same as `before` is the same object.
    """
    if not mesh.discovery_selectors:
        return config
    return config.within(is_discovered(config, mesh), before)


def is_discovered(config: ConfigSet, mesh: MeshConfig) -> Callable[[str], bool]:
    """Return a test of namespaces by their names."""
    written = {item.name: item.metadata.labels for item in config.of(Namespace)}
    selectors = mesh.discovery_selectors

    def test(namespace: str) -> bool:
        if not selectors or namespace in ("", mesh.root_namespace):
            return True
        labels = {NAME_LABEL: namespace, **written.get(namespace, {})}
        return any(selector.matches(labels) for selector in selectors)

    return test
