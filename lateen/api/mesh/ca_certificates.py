"""Roots that are trusted besides the mesh's own, each for the identities of certain trust domains."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from lateen.api.fields import FreeForm
from lateen.api.structs import Checked, NoEffect, Problem
from lateen.names import is_trust_domain


def _certificates(text: str) -> str:
    """Check that a text is certificates in PEM."""
    # Only a mesh that has any pays for the import, which takes long.
    from lateen.api.security.pem import are_certificates

    if text and not are_certificates(text.encode()):
        raise ValueError("must be certificates in PEM, each from -----BEGIN CERTIFICATE----- on")
    return text


def _trust_domain(text: str) -> str:
    if not is_trust_domain(text):
        raise ValueError(f"must be a trust domain such as partner.example, not {text!r}")
    return text


class CaCertificates(Checked):
    """Certificates in PEM that may vouch for identities of these trust domains; without any, of the mesh's own."""

    pem: Annotated[str, AfterValidator(_certificates)] = ""
    trust_domains: tuple[Annotated[str, AfterValidator(_trust_domain)], ...] = ()
    spiffe_bundle_url: Annotated[FreeForm, NoEffect("bundles are not fetched: write the certificates in pem")] = None
    cert_signers: Annotated[FreeForm, NoEffect("certificates are signed by the mesh's own authority")] = None

    def problems(self) -> Iterator[Problem]:
        if not self.pem:
            also = "; the bundle behind spiffeBundleUrl is not fetched" if self.spiffe_bundle_url else ""
            yield Problem(f"must be set: certificates in PEM{also}", "pem")
