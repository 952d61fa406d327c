"""The metadata of every object, as documents write it."""

from lateen.api.fields import EMPTY_MAP, Ignored, Int, Labels, StringMap
from lateen.api.structs import Struct


class ObjectMeta(Struct):
    """Name, labels and annotations, and what a Kubernetes API server adds to them."""

    name: str = ""
    namespace: str = ""
    labels: Labels = EMPTY_MAP
    annotations: StringMap = EMPTY_MAP
    uid: str = ""
    creation_timestamp: str = ""
    generation: Int = 0
    resource_version: str = ""
    generate_name: str = ""
    deletion_grace_period_seconds: Ignored = None
    deletion_timestamp: Ignored = None
    finalizers: Ignored = None
    managed_fields: Ignored = None
    owner_references: Ignored = None
    self_link: Ignored = None
