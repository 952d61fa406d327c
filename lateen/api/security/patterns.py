"""The texts that rules compare with: exact, `prefix*`, `*suffix`, `*`, addresses, and templates of paths."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator

from lateen.api.fields import check_cidr, is_label

_OPERATORS: Final = re.compile(r"\{\*\*?\}")
_STANDARD_METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"},
)


def check_wildcard(text: str) -> str:
    """Return the text if a `*` stands only where it means something: alone, at the beginning or at the end."""
    if not text:
        raise ValueError("must not be empty")
    if "*" in text[1:-1] or (len(text) > 1 and text[0] == text[-1] == "*"):
        raise ValueError(f"must have * only at its beginning or only at its end, not {text!r}")
    return text


def check_path(text: str) -> str:
    """Return the text if it can match a path: `/a`, `/a*`, `*/a`, `*`, or a template such as `/a/{*}/b/{**}`."""
    if not text.startswith(("/", "*", "{")):
        raise ValueError(f"must begin with / or *, or it matches no path: {text!r}")
    if "?" in text or "#" in text:
        raise ValueError(f"must be a path without query: rules do not look at what follows ? or #: {text!r}")
    if "{" not in text and "}" not in text:
        return check_wildcard(text)
    return _check_template(text)


def _check_template(text: str) -> str:
    if not text.startswith("/"):
        raise ValueError(f"must begin with /, as a path template: {text!r}")
    if re.search(r"[{}*]", _OPERATORS.sub("", text)):
        raise ValueError(f"must use {{, }} and * only as {{*}} and {{**}}, as a path template: {text!r}")
    segments = text[1:].split("/")
    for segment in segments:
        if _OPERATORS.search(segment) and not _OPERATORS.fullmatch(segment):
            raise ValueError(f"must have {{*}} and {{**}} as whole segments of the path: {text!r}")
    if "{**}" in segments[:-1]:
        raise ValueError(f"must have {{**}} only as its last segment: {text!r}")
    return text


def check_method(text: str) -> str:
    """Return the text if it can match a method; methods are compared with their case."""
    if text.upper() in _STANDARD_METHODS and text not in _STANDARD_METHODS:
        raise ValueError(f"must be in upper case, or it matches no request: {text!r}")
    return check_wildcard(text)


def check_port(text: str) -> str:
    """Return the text if it is a port number."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ValueError(f"must be a port number in quotes like '80', not {text!r}")
    return text


def check_principal(text: str) -> str:
    """Return the text if it can match an identity: `cluster.local/ns/default/sa/reviews` or a wildcard."""
    if text.startswith("spiffe://"):
        raise ValueError(f"must be written without spiffe://: {text.removeprefix('spiffe://')!r}")
    return check_wildcard(text)


def check_account(text: str) -> str:
    """Return the text if it is a service account, `name` or `namespace/name`."""
    namespace, slash, name = text.rpartition("/")
    if (slash and not is_label(namespace)) or not re.fullmatch(r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?", name):
        raise ValueError(f"must be a service account like reviews or default/reviews, without wildcards, not {text!r}")
    return text


def check_host_pattern(text: str) -> str:
    """Return the text if it can match a host."""
    if "/" in text or any(map(str.isspace, text)):
        raise ValueError(f"must be a host like reviews.example.com or *.example.com, not {text!r}")
    if text.endswith(":*"):
        check_wildcard(text.removesuffix(":*"))
        return text
    return check_wildcard(text)


Wildcard = Annotated[str, AfterValidator(check_wildcard)]
PathPattern = Annotated[str, AfterValidator(check_path)]
MethodPattern = Annotated[str, AfterValidator(check_method)]
PortText = Annotated[str, AfterValidator(check_port)]
PrincipalPattern = Annotated[str, AfterValidator(check_principal)]
AccountName = Annotated[str, AfterValidator(check_account)]
HostPattern = Annotated[str, AfterValidator(check_host_pattern)]
Range = Annotated[str, AfterValidator(check_cidr)]
