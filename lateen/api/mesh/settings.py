"""Finds the MeshConfig that holds: as a document of its own, or inside Istio's ConfigMap."""

from functools import lru_cache
from typing import Final

from lateen.api.config_set import ConfigSet
from lateen.api.core.config_map import ConfigMap
from lateen.api.documents import Document, read_documents
from lateen.api.mesh.mesh_config import MeshConfig
from lateen.api.parsing import Fault, parse

CONFIG_MAP_NAME: Final = "istio"
CONFIG_MAP_KEY: Final = "mesh"
ROOT_NAMESPACE: Final = "istio-system"


def mesh_config(config: ConfigSet, root_namespace: str = ROOT_NAMESPACE) -> MeshConfig:
    """Return the settings of the mesh: the first MeshConfig, else key `mesh` of ConfigMap `istio` in the root
    namespace, else defaults.
    """
    if documents := config.of(MeshConfig):
        return documents[0].spec
    config_map = config.shelf(ConfigMap, root_namespace).get(CONFIG_MAP_NAME)
    if config_map is not None and isinstance(config_map.spec, ConfigMap):
        settings = read_mesh_config(config_map.spec.data.get(CONFIG_MAP_KEY, ""))
        if isinstance(settings, MeshConfig):
            return settings
    return default_settings()


@lru_cache(maxsize=8)
def read_mesh_config(text: str) -> MeshConfig | tuple[Fault, ...]:
    """Return the settings that the text of the ConfigMap says, or what is wrong with it; an empty text says the
    defaults.
    """
    parts = tuple(read_documents(text, ""))
    faults = tuple(Fault("", part.message) for part in parts if not isinstance(part, Document))
    contents = [part.content for part in parts if isinstance(part, Document)]
    if faults or not contents:
        return faults or default_settings()
    if len(contents) > 1 or not isinstance(contents[0], dict):
        return (Fault("", "must be one mapping of mesh settings"),)
    return parse(MeshConfig, contents[0])


@lru_cache(maxsize=1)
def default_settings() -> MeshConfig:
    """Return Istio's defaults."""
    return MeshConfig()
