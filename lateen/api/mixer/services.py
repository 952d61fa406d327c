"""QuotaSpec and HTTPAPISpec with bindings: what requests to a service are charged for, and what they are called."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from lateen.api.fields import EMPTY_MAP, FROZEN, Labels, NonEmpty, Positive, Regex, StringMap
from lateen.api.mixer.structs import MixerStruct
from lateen.api.structs import Problem, exactly_one


class StringMatch(MixerStruct):
    """What an attribute has to be."""

    exact: str | None = None
    prefix: str | None = None
    regex: Regex | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "exact", "prefix", "regex")


class AttributeMatch(MixerStruct):
    """Holds when every attribute is as its clause says."""

    clause: Annotated[Mapping[str, StringMatch], FROZEN] = EMPTY_MAP


class Charge(MixerStruct):
    """How much is taken from which quota."""

    quota: NonEmpty
    charge: Positive = 1


class QuotaRule(MixerStruct):
    """Charges requests that one of the matches holds for; without a match all of them."""

    match: tuple[AttributeMatch, ...] = ()
    quotas: Annotated[tuple[Charge, ...], Field(min_length=1)]


class QuotaSpec(MixerStruct):
    """What requests are charged for; the charges of all rules that match add up."""

    rules: Annotated[tuple[QuotaRule, ...], Field(min_length=1)]


class ServiceReference(MixerStruct):
    """A service by short name and namespace, by its whole host name, or `*` for all."""

    name: str = ""
    namespace: str = ""
    domain: str = ""
    service: str = ""
    labels: Labels = EMPTY_MAP

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "name", "service")


class QuotaSpecReference(MixerStruct):
    """A QuotaSpec; without a namespace it is in the binding's own."""

    name: NonEmpty
    namespace: str = ""


class QuotaSpecBinding(MixerStruct):
    """For which services which QuotaSpecs count."""

    services: Annotated[tuple[ServiceReference, ...], Field(min_length=1)]
    quota_specs: Annotated[tuple[QuotaSpecReference, ...], Field(min_length=1)]


_VARIABLE: Final = re.compile(r"\{[+#./;?&]?[A-Za-z0-9_.]+[*]?(?:,[A-Za-z0-9_.]+[*]?)*\}")


def _check_uri_template(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f"must begin with /, not {text!r}")
    if re.search(r"[{}]", _VARIABLE.sub("", text)):
        raise ValueError(f"must be a template of a path like /pets/{{id}}, not {text!r}")
    return text


class ApiPattern(MixerStruct):
    """The attributes of requests with this method and path; the path is a template of RFC 6570 or a regex."""

    attributes: StringMap = EMPTY_MAP
    http_method: str = ""
    uri_template: Annotated[str, AfterValidator(_check_uri_template)] | None = None
    regex: Regex | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "uri_template", "regex")


class ApiKeyPlace(MixerStruct):
    """Where a request carries its API key."""

    query: str | None = None
    header: str | None = None
    cookie: str | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "query", "header", "cookie")


class HttpApiSpec(MixerStruct):
    """What the requests of an API are called, and where they carry its keys."""

    attributes: StringMap = EMPTY_MAP
    patterns: tuple[ApiPattern, ...] = ()
    api_keys: tuple[ApiKeyPlace, ...] = ()


class HttpApiSpecReference(MixerStruct):
    """An HTTPAPISpec; without a namespace it is in the binding's own."""

    name: NonEmpty
    namespace: str = ""


class HttpApiSpecBinding(MixerStruct):
    """For which services which HTTPAPISpecs count."""

    services: Annotated[tuple[ServiceReference, ...], Field(min_length=1)]
    api_specs: Annotated[tuple[HttpApiSpecReference, ...], Field(min_length=1)]
