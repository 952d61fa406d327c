"""Where the settings of the mesh are found."""

from datetime import timedelta

from lateen.api import decode
from lateen.api.config_set import ConfigSet
from lateen.api.mesh import settings

CONFIG_MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    connectTimeout: 3s
    accessLogFile: %s
"""
PLAIN = """
apiVersion: mesh.istio.io/v1alpha1
kind: MeshConfig
metadata: {name: mesh}
spec: {connectTimeout: 4s}
"""


def connect_timeout(*texts: str) -> timedelta:
    config = ConfigSet(item for text in texts for item in decode.decode_yaml(text).objects)
    return settings.mesh_config(config).connect_timeout


def test_a_plain_document_wins_over_istios_config_map_which_wins_over_the_defaults() -> None:
    assert connect_timeout() == timedelta(seconds=10)
    assert connect_timeout(CONFIG_MAP % "/dev/stdout") == timedelta(seconds=3)
    assert connect_timeout(CONFIG_MAP % "/dev/stdout", PLAIN) == timedelta(seconds=4)


def test_wrong_settings_inside_the_config_map_are_refused_at_the_door() -> None:
    decoded = decode.decode_yaml(CONFIG_MAP % "[1]", "x.yaml")
    assert [str(violation) for violation in decoded.violations] == [
        "x.yaml:6: ConfigMap istio-system/istio: data.mesh.accessLogFile: must be text, not a list"
    ]
