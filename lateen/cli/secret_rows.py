"""What an Envoy's dump says of its secrets, as rows for people; keys are not in it."""

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from cryptography import x509

Json = Mapping[str, Any]
_TIME: Final = "%Y-%m-%dT%H:%M:%SZ"


class SecretRow(NamedTuple):
    """One certificate of a secret. A secret without one has a row of its own, with nothing to tell."""

    resource_name: str
    type: str
    status: str
    valid_cert: str
    serial_number: str
    not_after: str
    not_before: str


def secret_rows(entry: Json) -> Iterator[SecretRow]:
    """List the certificates that a secret's holder shows (its own only), or those of all authorities it believes."""
    secret = entry.get("secret", {})
    name, status = entry.get("name", ""), str(entry.get("status", ""))
    if (own := secret.get("tls_certificate")) is not None:
        yield from _rows(name, "Cert Chain", status, _certificates(own.get("certificate_chain", {}))[:1])
    elif (validation := secret.get("validation_context")) is not None:
        yield from _rows(name, "CA", status, list(_believed(validation)))
    else:
        yield from _rows(name, "", status, [])


def _believed(validation: Json) -> Iterator[x509.Certificate]:
    """Yield the authorities that count for everybody, or those of each trust domain."""
    yield from _certificates(validation.get("trusted_ca", {}))
    validator = validation.get("custom_validator_config", {}).get("typed_config", {})
    for domain in validator.get("trust_domains", ()):
        yield from _certificates(domain.get("trust_bundle", {}))


def _rows(name: str, kind: str, status: str, found: list[x509.Certificate]) -> Iterator[SecretRow]:
    if not found:
        yield SecretRow(name, kind, status, "false", "", "", "")
    now = datetime.now(UTC)
    for each in found:
        begin, end = each.not_valid_before_utc, each.not_valid_after_utc
        valid, serial = str(begin <= now <= end).lower(), f"{each.serial_number:x}"
        yield SecretRow(name, kind, status, valid, serial, f"{end:{_TIME}}", f"{begin:{_TIME}}")


def _certificates(source: Json) -> list[x509.Certificate]:
    """Read the certificates that a dump holds; those in files are not looked at."""
    pem = (
        base64.b64decode(source["inline_bytes"])
        if "inline_bytes" in source
        else source.get("inline_string", "").encode()
    )
    try:
        return x509.load_pem_x509_certificates(pem) if pem else []
    except ValueError:
        return []
