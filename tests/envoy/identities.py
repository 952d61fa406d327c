"""Certificates for tests: an authority, the workloads' certificates, and an Envoy that has them from files."""

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lateen.names import ROOT_SECRET, WORKLOAD_SECRET, Identity

DAY = timedelta(days=1)
_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


@dataclass(frozen=True)
class Pair:
    """A certificate with its key, as PEM."""

    certificate: str
    key: str


@dataclass(frozen=True)
class Authority:
    """A root, and what it signs."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def root(self) -> str:
        """The root's certificate."""
        return _pem(self._signed(self.key, (), DAY, is_authority=True))

    def workload(self, account: str, domain: str = "cluster.local", valid: timedelta = DAY) -> Pair:
        """The certificate of a workload; one that is valid for less than nothing has expired."""
        return self.pair(x509.UniformResourceIdentifier(str(Identity(domain, "default", account))), valid=valid)

    def pair(self, *names: x509.GeneralName, valid: timedelta = DAY) -> Pair:
        """A certificate for some names."""
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Pair(_pem(self._signed(key, names, valid)), private.decode())

    def _signed(
        self,
        key: ec.EllipticCurvePrivateKey,
        names: tuple[x509.GeneralName, ...],
        valid: timedelta,
        *,
        is_authority: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "tests")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(issuer if is_authority else x509.Name([]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(now + valid)
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
        return builder.sign(self.key, hashes.SHA256())


def with_files(config: dict[str, Any], place: Path, own: Pair, roots: str) -> dict[str, Any]:
    """Have a proxy read its secrets from files, instead of from its node agent."""
    files = {
        WORKLOAD_SECRET: {
            "tls_certificate": {
                "certificate_chain": {"inline_string": own.certificate},
                "private_key": {"inline_string": own.key},
            }
        },
        ROOT_SECRET: {"validation_context": {"trusted_ca": {"inline_string": roots}}},
    }
    for name, secret in files.items():
        (place / f"{name}.json").write_text(json.dumps({"resources": [{"@type": _SECRET, "name": name, **secret}]}))
    return _rewritten(config, {name: str(place / f"{name}.json") for name in files})  # type: ignore[no-any-return]


def client_context(shown: Pair | None, place: Path, offers: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A client that believes every server, and shows a certificate or none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if offers:
        context.set_alpn_protocols(list(offers))
    if shown is not None:
        context.load_cert_chain(*written(shown, place, "client"))
    return context


def written(pair: Pair, place: Path, name: str) -> tuple[Path, Path]:
    """The files of a pair."""
    certificate, key = place / f"{name}.pem", place / f"{name}.key"
    certificate.write_text(pair.certificate)
    key.write_text(pair.key)
    return certificate, key


def _rewritten(said: Any, files: Mapping[str, str]) -> Any:
    if isinstance(said, list):
        return [_rewritten(item, files) for item in said]
    if not isinstance(said, dict):
        return said
    if "sds_config" in said and said["name"] in files:
        return {"name": said["name"], "sds_config": {"path_config_source": {"path": files[said["name"]]}}}
    return {name: _rewritten(value, files) for name, value in said.items()}


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
