"""Resources as the protocol sees them: a name, a version, and bytes that are ready to send."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Resource:
    """One xDS resource, serialized once for everybody.

    `version` is a non-empty digest of the content: equal content, equal version, also after a restart. `frame` is the
    resource as it stands in `DeltaDiscoveryResponse.resources`: the tag of field 2, the length, and the serialized
    `envoy.service.discovery.v3.Resource`. A response is therefore a concatenation of frames.
    """

    name: str
    version: str
    frame: bytes = field(repr=False)


ResourceSet = Mapping[str, Mapping[str, Resource]]
"""Everything that a class of proxies is to have: type URL → name → resource. A value, at both levels."""

NO_RESOURCES: Mapping[str, Resource] = {}
