"""Texts to values of other types, such as addresses and times; and the normal forms that names are compared in."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from lateen.api.expressions.faults import BadExpression
from lateen.api.expressions.tree import Call, Constant
from lateen.api.fields import is_host, parse_duration
from lateen.mixer import patterns

_TIME: Final = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2})(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})")
_DOMAIN_END: Final = "."


def address(text: str) -> IPv4Address | IPv6Address:
    """Return an IP address; one of IPv4 in the clothes of IPv6 comes out as IPv4. Raises `ValueError`."""
    try:
        found = ip_address(text)
    except ValueError:
        raise ValueError(f"must be an IP address like 10.0.0.1, not {text!r}") from None
    return plain_address(found)


def plain_address(found: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the one form that an address is compared in."""
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def time(text: str) -> datetime:
    """Return the time that a text of RFC 3339 says, with its zone; raises `ValueError`."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"must be a time of RFC 3339 like 2017-01-15T01:30:15Z, not {text!r}")
    day, clock, fraction, zone = found.groups()
    try:
        at = datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        return (at + timedelta(seconds=float(fraction or 0))).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"must be a time that exists, not {text!r}") from None


def duration(text: str) -> timedelta:
    """Return the duration that a text like `1.5s` says; raises `ValueError`."""
    return parse_duration(text)


def dns_name(text: str) -> str:
    """Return a host name if it is one; raises `ValueError`."""
    if not _is_domain(text):
        raise ValueError(f"must be a DNS name like www.example.com, not {text!r}")
    return text


def email(text: str) -> str:
    """Return an e-mail address if it is one; raises `ValueError`."""
    local, at, domain = text.rpartition("@")
    if not at or not local or re.search(r"[\s<>,;]", local) or not _is_domain(domain):
        raise ValueError(f"must be an e-mail address like somebody@example.com, not {text!r}")
    return text


def uri(text: str) -> str:
    """Return a URI if it is one; raises `ValueError`."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  (reading it checks it)
    except ValueError:
        raise ValueError(f"must be a URI, not {text!r}") from None
    if not text or re.search(r"[\s\x00-\x1f\x7f]", text) or not (parts.scheme or parts.path or parts.netloc):
        raise ValueError(f"must be a URI, not {text!r}")
    return text


def _is_domain(text: str) -> bool:
    try:
        return is_host(_ascii(text))
    except ValueError:
        return False


def _ascii(domain: str) -> str:
    """Return a domain with all labels in the letters of ASCII; raises `ValueError`."""
    if domain.isascii():
        return domain
    return domain.encode("idna").decode()


@lru_cache(maxsize=4096)
def normal_dns_name(text: str) -> str:
    """Return the form in which DNS names are compared: IDNA, lower case, no dot at the end."""
    try:
        return _ascii(text).lower().removesuffix(_DOMAIN_END)
    except ValueError:
        return text


@lru_cache(maxsize=4096)
def normal_email(text: str) -> str:
    """Return the form in which e-mail addresses are compared: the domain as a DNS name, the rest as it is."""
    local, at, domain = text.rpartition("@")
    return f"{local}{at}{normal_dns_name(domain)}"


@lru_cache(maxsize=4096)
def normal_uri(text: str) -> str:
    """Return the form in which URIs are compared: scheme and host in lower case."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return text
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(scheme=parts.scheme.lower(), netloc=f"{user}{at}{host.lower()}"))


_CHECKS: Final[Mapping[str, Callable[[str], object]]] = {
    "ip": address,
    "timestamp": time,
    "duration": duration,
    "dnsName": dns_name,
    "email": email,
    "uri": uri,
    "matches": patterns.regex,
}


def check_literals(call: Call) -> None:
    """Refuse a call whose constant can never be what the function needs; raises `BadExpression`."""
    check = _CHECKS.get(call.function)
    argument = call.arguments[0] if call.arguments else None
    if check is None or not isinstance(argument, Constant) or not isinstance(argument.value, str):
        return
    try:
        check(argument.value)
    except ValueError as error:
        raise BadExpression(str(error), argument.position) from None
