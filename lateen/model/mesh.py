"""The mesh-wide settings, from where users keep them."""

from lateen.api.config_set import ConfigSet
from lateen.api.mesh.mesh_config import MeshConfig


def mesh_settings(config: ConfigSet, fallback: MeshConfig) -> MeshConfig:
    """Return the settings of the one MeshConfig object, the first by name if there are several, else `fallback`."""
    written = config.of(MeshConfig)
    return written[0].spec if written else fallback
