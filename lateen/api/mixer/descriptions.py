"""Adapter, template and attributemanifest: what is not built in, described."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator

from lateen.api.expressions.types import ValueType
from lateen.api.fields import EMPTY_MAP, FROZEN, Bool, NonEmpty
from lateen.api.mixer.structs import MixerStruct

_ATTRIBUTE_NAME: Final = re.compile(r"[a-z_][a-zA-Z0-9_]*(\.[a-zA-Z_][a-zA-Z0-9_]*)*")


def _check_base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError):
        raise ValueError("must be a descriptor in base64, as protoc and mixgen write it") from None
    return text


Descriptor = Annotated[str, AfterValidator(_check_base64)]


def _check_attribute_name(name: str) -> str:
    if not _ATTRIBUTE_NAME.fullmatch(name):
        raise ValueError(f"must be a name with dots like request.size, which begins in lower case, not {name!r}")
    return name


AttributeName = Annotated[str, AfterValidator(_check_attribute_name)]


class AdapterDescription(MixerStruct):
    """An adapter that runs in a process of its own: which templates it takes, and of which form its settings are."""

    description: str = ""
    session_based: Bool = False
    templates: tuple[NonEmpty, ...] = ()
    config: Descriptor = ""


class TemplateDescription(MixerStruct):
    """A template that is not built in, as a descriptor of protobuf."""

    descriptor: Descriptor


class ManifestAttribute(MixerStruct):
    """The type of an attribute, and what it means."""

    value_type: ValueType
    description: str = ""


class AttributeManifest(MixerStruct):
    """Attributes that somebody provides beside those of Lateen's own vocabulary."""

    revision: str = ""
    name: str = ""
    attributes: Annotated[Mapping[AttributeName, ManifestAttribute], FROZEN] = EMPTY_MAP
