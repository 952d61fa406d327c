"""What the certificate authority counts, under the names of Istio's."""

from lateen.telemetry.instruments import Counter, Instrument


class AuthorityMeters:
    """What became of requests for certificates."""

    def __init__(self) -> None:
        self.requests = Counter("citadel_server_csr_count", "Requests for certificates.")
        self.strangers = Counter(
            "citadel_server_authentication_failure_count", "Requests of callers who could not prove who they are."
        )
        self.unreadable = Counter("citadel_server_csr_parsing_err_count", "Requests that could not be read.")
        self.unsigned = Counter("citadel_server_csr_sign_err_count", "Requests that were not granted.", "error")
        self.granted = Counter("citadel_server_success_cert_issuance_count", "Certificates that were issued.")

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """All of them."""
        return (self.requests, self.strangers, self.unreadable, self.unsigned, self.granted)
