"""Which headers proxies write, and in which form: `proxyHeaders` of ProxyConfig, with Istio's defaults."""

from enum import StrEnum

from lateen.api.fields import Bool
from lateen.api.structs import Struct


class ForwardClientCertificate(StrEnum):
    """What is done with the header that tells the client's certificate."""

    UNDEFINED = "UNDEFINED"
    SANITIZE = "SANITIZE"
    FORWARD_ONLY = "FORWARD_ONLY"
    APPEND_FORWARD = "APPEND_FORWARD"
    SANITIZE_SET = "SANITIZE_SET"
    ALWAYS_FORWARD_ONLY = "ALWAYS_FORWARD_ONLY"


class MetadataExchangeMode(StrEnum):
    """With whom proxies exchange headers about themselves. Ours never do: certificates say who calls."""

    UNDEFINED = "UNDEFINED"
    IN_MESH = "IN_MESH"


class MetadataExchangeHeaders(Struct):
    """With whom proxies exchange headers about themselves."""

    mode: MetadataExchangeMode = MetadataExchangeMode.UNDEFINED


class Switch(Struct):
    """A header that is written unless it is switched off."""

    disabled: Bool = False


class Addition(Struct):
    """A header that is written only where it is switched on."""

    enabled: Bool = False


class ServerHeader(Switch):
    """The header `server` of responses: switched off, the application's own is left as it is."""

    value: str = ""


class ClientCertificateDetails(Struct):
    """What `x-forwarded-client-cert` says of a client; what is not said here stays as it is by default."""

    subject: Bool | None = None
    cert: Bool | None = None
    chain: Bool | None = None
    dns: Bool | None = None
    uri: Bool | None = None


class ProxyHeaders(Struct):
    """Which headers a proxy writes; what is not said here is as in Istio."""

    server: ServerHeader | None = None
    request_id: Switch | None = None
    attempt_count: Switch | None = None
    envoy_debug_headers: Switch | None = None
    forwarded_client_cert: ForwardClientCertificate = ForwardClientCertificate.UNDEFINED
    set_current_client_cert_details: ClientCertificateDetails | None = None
    metadata_exchange_headers: MetadataExchangeHeaders | None = None
    preserve_http1_header_case: Bool | None = None
    x_forwarded_host: Addition | None = None
    x_forwarded_port: Addition | None = None
