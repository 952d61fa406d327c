"""ProxyConfig: settings with which the proxies of some workloads are started."""

from enum import StrEnum

from lateen.api.fields import EMPTY_MAP, Count, StringMap
from lateen.api.networking.selectors import TypedSelector
from lateen.api.structs import Struct


class ImageType(StrEnum):
    """The variants of a proxy's container image."""

    UNSET = ""
    DEFAULT = "default"
    DEBUG = "debug"
    DISTROLESS = "distroless"


class ProxyImage(Struct):
    """The container image of the proxy."""

    image_type: ImageType = ImageType.UNSET


class ProxyConfig(Struct):
    """Start settings of the selected workloads' proxies; `concurrency: 0` means a thread a processor."""

    selector: TypedSelector | None = None
    concurrency: Count | None = None
    environment_variables: StringMap = EMPTY_MAP
    image: ProxyImage | None = None
