"""Values of instances as people and other systems read them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from lateen.mixer.ports import Field


def plain(value: Field | None) -> str | int | float | bool | dict[str, object] | None:
    """Return a value as JSON knows it: times in RFC 3339, durations like `1.5s`, addresses as text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return duration(value) if isinstance(value, timedelta) else str(value)


def duration(value: timedelta) -> str:
    """Write a duration in seconds."""
    return f"{value.total_seconds():.9f}".rstrip("0").rstrip(".") + "s"


def number(value: Field | None) -> float:
    """Return a value as a number: a duration in seconds, what is none as 0."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool | int | float):
        return float(value)
    try:
        return float(str(value))
    except ValueError:
        return 0.0


def entries(instance_field: Field | None) -> Mapping[str, Field]:
    """Return the entries of a field that is a map; none of one that is not there."""
    return instance_field if isinstance(instance_field, Mapping) else {}


def is_called(whole_name: str, text: str) -> bool:
    """Tell whether settings mean an instance: by its whole name, or by the beginning of it."""
    return whole_name == text or whole_name.startswith(f"{text}.")
