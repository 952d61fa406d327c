"""QuotaSpecs and HTTPAPISpecs with the services that bindings attach them to."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from lateen.api.config_set import ConfigSet
from lateen.api.mixer.services import HttpApiSpec, HttpApiSpecBinding, QuotaSpec, QuotaSpecBinding
from lateen.api.objects import ConfigObject, joined_path
from lateen.api.structs import Struct
from lateen.mixer import quota_specs
from lateen.mixer.attributes import current_name
from lateen.mixer.bound_services import Bound
from lateen.mixer.faults import Faults
from lateen.mixer.instances import written_path
from lateen.mixer.manifests import AttributeTypes
from lateen.mixer.quota_specs import Charges

S = TypeVar("S", bound=Struct)


def resolve_charges(config: ConfigSet, quotas: Iterable[str], types: AttributeTypes, faults: Faults) -> Charges:
    """Return what requests are charged for; `quotas` are the short names of all quotas."""
    specs = config.of(QuotaSpec)
    for spec in specs:
        _check_clauses(spec, types, faults)
    bound = tuple(_bound(config.of(QuotaSpecBinding), specs, "quota_specs", faults))
    return Charges(bound, quota_specs.unbound_quotas((spec.spec for spec in specs), quotas))


def resolve_apis(config: ConfigSet, faults: Faults) -> tuple[Bound[HttpApiSpec], ...]:
    """Return the public APIs of services."""
    return tuple(_bound(config.of(HttpApiSpecBinding), config.of(HttpApiSpec), "api_specs", faults))


def _check_clauses(item: ConfigObject[QuotaSpec], types: AttributeTypes, faults: Faults) -> None:
    for number, rule in enumerate(item.spec.rules):
        for position, match in enumerate(rule.match):
            for name in match.clause:
                if current_name(name) not in types:
                    path = f"spec.rules[{number}].match[{position}].clause"
                    faults.refuse(item, joined_path(path, name), f"unknown attribute {name}")


def _bound(
    bindings: Iterable[ConfigObject[Any]], specs: Iterable[ConfigObject[S]], field: str, faults: Faults
) -> Iterator[Bound[S]]:
    known = {(spec.namespace, spec.name): spec for spec in specs}
    for binding in bindings:
        for position, reference in enumerate(getattr(binding.spec, field)):
            namespace = reference.namespace or binding.namespace
            spec = known.get((namespace, reference.name))
            if spec is not None:
                yield Bound(spec, binding.spec.services, binding.namespace)
            else:
                path = f"{written_path(binding, 'spec', field)}[{position}].name"
                faults.miss(binding, path, f"there is no {reference.name} in the namespace {namespace}")
