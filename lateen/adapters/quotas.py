"""What handlers that count have in common: which quota an instance is charged to, and under which name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from lateen.mixer.ports import FOREVER, MadeInstance, QuotaRequest, QuotaResult
from lateen.mixer.quota import Charge, Grant, Quota
from lateen.mixer.references import short_name


@dataclass(frozen=True, slots=True)
class OverriddenQuota:
    """A quota, and those that count instead where all dimensions have these values; the first that fits counts."""

    usual: Quota
    overrides: tuple[tuple[Mapping[str, str], Quota], ...] = ()

    def of(self, dimensions: Mapping[str, str]) -> Quota:
        """Return the quota for some dimensions."""
        fitting = (quota for values, quota in self.overrides if values.items() <= dimensions.items())
        return next(fitting, self.usual)


class Quotas:
    """The quotas of a handler by the names of their instances, whole or without kind and namespace."""

    def __init__(self, quotas: Iterable[tuple[str, OverriddenQuota]]) -> None:
        self._by_name = {name.lower(): quota for name, quota in quotas}

    def charge(self, instance: MadeInstance, request: QuotaRequest) -> Charge | None:
        """Return what an instance is charged, and to which quota; None for one that nobody limits."""
        whole = instance.name.lower()
        found = self._by_name.get(whole) or self._by_name.get(short_name(whole)) or self._by_name.get(_written(whole))
        if found is None:
            return None
        dimensions = _dimensions(instance)
        name = "\n".join((instance.name, *(f"{name}={value}" for name, value in dimensions.items())))
        return Charge(name, found.of(dimensions), request.amount, request.best_effort)


def question(instance: MadeInstance, request: QuotaRequest) -> str:
    """Name a question that is charged once, however often it is asked; empty for one that is charged each time."""
    return f"{request.deduplication_id}\n{instance.name}" if request.deduplication_id else ""


def result(charge: Charge, grant: Grant) -> QuotaResult:
    """Say what was granted, and for how long that may be used."""
    window = charge.quota.window
    return QuotaResult(grant.granted, timedelta(milliseconds=window) if window else FOREVER)


def _dimensions(instance: MadeInstance) -> Mapping[str, str]:
    """Return the dimensions of an instance of the template quota as texts, in order of their names."""
    written = instance.fields.get("dimensions", {})
    assert isinstance(written, Mapping)
    return {name: _text(value) for name, value in sorted(written.items())}


def _written(whole: str) -> str:
    """Return `name.namespace`, which is also how quotas name instances, of `name.kind.namespace`."""
    name, _, rest = whole.partition(".")
    return f"{name}.{rest.partition('.')[2]}"


def _text(value: object) -> str:
    """Return a value as overrides have it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
