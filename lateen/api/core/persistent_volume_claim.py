"""PersistentVolumeClaim: storage that outlives the pods that mount it."""

from lateen.api.fields import Ignored
from lateen.api.structs import Struct


class PersistentVolumeClaim(Struct):
    """A named storage; where it comes from and how large it is, is the platform's business."""

    access_modes: Ignored = None
    data_source: Ignored = None
    data_source_ref: Ignored = None
    resources: Ignored = None
    selector: Ignored = None
    storage_class_name: Ignored = None
    volume_attributes_class_name: Ignored = None
    volume_mode: Ignored = None
    volume_name: Ignored = None
