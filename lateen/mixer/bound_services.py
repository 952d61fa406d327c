"""What bindings attach to services: QuotaSpecs and HTTPAPISpecs."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from lateen.api.fields import EMPTY_MAP
from lateen.api.mixer.services import ServiceReference
from lateen.api.objects import ConfigObject
from lateen.api.structs import Struct

S_co = TypeVar("S_co", bound=Struct, covariant=True)

EVERY_SERVICE = "*"


@dataclass(frozen=True, slots=True)
class CalledService:
    """The service that a request is for, and the labels of the workload that answers."""

    host: str = ""
    name: str = ""
    namespace: str = ""
    labels: Mapping[str, str] = EMPTY_MAP


@dataclass(frozen=True, slots=True)
class Bound(Generic[S_co]):
    """A spec that counts for some services; `namespace` is that of the binding."""

    written: ConfigObject[S_co]
    services: tuple[ServiceReference, ...]
    namespace: str

    def counts_for(self, service: CalledService) -> bool:
        """Tell whether the spec counts for a service."""
        return any(_is_meant(reference, self.namespace, service) for reference in self.services)


def specs_for(bound: Iterable[Bound[S_co]], service: CalledService) -> Iterator[S_co]:
    """Yield the specs that count for a service, each once."""
    seen = set()
    for each in bound:
        if each.written.key not in seen and each.counts_for(service):
            seen.add(each.written.key)
            yield each.written.spec


def _is_meant(reference: ServiceReference, namespace: str, service: CalledService) -> bool:
    if any(service.labels.get(label) != value for label, value in reference.labels.items()):
        return False
    if reference.service:
        return reference.service in (EVERY_SERVICE, service.host)
    if reference.domain:
        return service.host == f"{reference.name}.{reference.namespace or namespace}.{reference.domain}"
    return (service.name, service.namespace) == (reference.name, reference.namespace or namespace)
