"""Small values in protobuf's words: durations, shares, wrapped messages."""

from datetime import timedelta
from typing import Any, Final

from envoy.config.core.v3 import base_pb2
from envoy.type.v3 import percent_pb2
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from lateen.plan.types import Origin

NONE_AT_ALL = timedelta(0)
"""For Envoy, a timeout of zero is no timeout."""

_RULES: Final = frozenset({"VirtualService", "DestinationRule"})


def typed(message: Message) -> AnyMessage:
    """Wrap a message with its type; equal messages give equal bytes."""
    return AnyMessage(type_url=type_url(message), value=message.SerializeToString(deterministic=True))


def type_url(message: Message) -> str:
    """Name a message's type as xDS does."""
    return f"type.googleapis.com/{message.DESCRIPTOR.full_name}"


def duration(value: timedelta) -> Duration:
    """Say a length of time."""
    message = Duration()
    message.FromTimedelta(value)
    return message


def fraction(percent: float) -> Any:
    """Say a share of 100 with four decimals."""
    return percent_pb2.FractionalPercent(
        numerator=round(percent * 10_000), denominator=percent_pb2.FractionalPercent.MILLION
    )


def runtime_fraction(percent: float) -> Any:
    """Say a share of 100 where Envoy wants one that could be changed at run time."""
    return base_pb2.RuntimeFractionalPercent(default_value=fraction(percent))


def origin_metadata(origin: Origin | None) -> Any:
    """Say which rule a part came from, as Istio does: `istio: {config: /apis/…/virtual-service/reviews}`."""
    metadata = base_pb2.Metadata()
    if origin is not None and origin.key.kind in _RULES:
        metadata.filter_metadata["istio"].fields["config"].string_value = config_path(origin)
    return metadata


def config_path(origin: Origin) -> str:
    """Compose a config object's path in the form of Kubernetes' API, the kind in kebab case."""
    key = origin.key
    api = f"/apis/{key.group}" if key.group else "/api"
    return f"{api}/v1/namespaces/{key.namespace}/{_kebab_case(key.kind)}/{key.name}"


def _kebab_case(kind: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in kind).lstrip("-")
