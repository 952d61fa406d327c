"""Handler: an adapter with its settings."""

from collections.abc import Iterator
from datetime import timedelta

from lateen.api.fields import EMPTY_MAP, FreeForm, NonEmpty, PositiveDuration, StringMap
from lateen.api.mixer import adapters
from lateen.api.mixer.structs import AdapterParams, MixerStruct, NumberedEnum
from lateen.api.parsing import parse
from lateen.api.structs import Problem, at_most_one, exactly_one


class Oauth(MixerStruct):
    """How a token is had from an OAuth server by client credentials; `clientSecret` is the name of a file."""

    client_id: NonEmpty
    client_secret: NonEmpty
    token_url: NonEmpty
    scopes: tuple[str, ...] = ()
    endpoint_params: StringMap = EMPTY_MAP


class AuthHeader(NumberedEnum):
    """How the token stands in the header `authorization`."""

    PLAIN = "PLAIN"
    BEARER = "BEARER"


class TlsAuthentication(MixerStruct):
    """The adapter proves itself by a certificate, Mixer by a token or not at all."""

    ca_certificates: str = ""
    token_path: str = ""
    oauth: Oauth | None = None
    auth_header: AuthHeader | None = None
    custom_header: str = ""
    server_name: str = ""

    def problems(self) -> Iterator[Problem]:
        yield from at_most_one(self, "token_path", "oauth")
        yield from at_most_one(self, "auth_header", "custom_header")


class MutualAuthentication(MixerStruct):
    """Both prove themselves by certificates; all settings are names of files."""

    private_key: NonEmpty
    client_certificate: NonEmpty
    ca_certificates: str = ""
    server_name: str = ""


class Authentication(MixerStruct):
    """How Mixer and an adapter of its own process know each other."""

    tls: TlsAuthentication | None = None
    mutual: MutualAuthentication | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "tls", "mutual")


class Connection(MixerStruct):
    """Where an adapter of its own process listens, and how long it may think."""

    address: NonEmpty
    timeout: PositiveDuration = timedelta(seconds=5)
    authentication: Authentication | None = None


class Handler(MixerStruct):
    """An adapter that is built in (`compiledAdapter`), or one of its own process that an object `adapter` describes."""

    compiled_adapter: str = ""
    adapter: str = ""
    params: FreeForm = EMPTY_MAP
    connection: Connection | None = None

    @property
    def settings(self) -> AdapterParams | None:
        """The settings of a built-in adapter; None for others."""
        row = adapters.adapter(self.compiled_adapter)
        parsed = parse(row.params, self.params) if row is not None else None
        return None if isinstance(parsed, tuple) else parsed

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "compiled_adapter", "adapter")
        if self.compiled_adapter:
            yield from self._compiled_problems()
        elif self.adapter and self.connection is None:
            yield Problem("must be set: an adapter of its own process has an address", "connection")

    def _compiled_problems(self) -> Iterator[Problem]:
        row = adapters.adapter(self.compiled_adapter)
        if row is None:
            near = adapters.near_adapters(self.compiled_adapter)
            yield Problem(f"unknown adapter {self.compiled_adapter}; {near}", "compiledAdapter")
            return
        parsed = parse(row.params, self.params, "params")
        if isinstance(parsed, tuple):
            yield from (Problem(fault.message, fault.path) for fault in parsed)
        if self.connection is not None:
            yield Problem(f"must be left out: {row.name} is built in", "connection")
