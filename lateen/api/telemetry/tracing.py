"""How calls are traced, as a Telemetry and the settings of proxies say it."""

from collections.abc import Iterator, Mapping
from typing import Annotated

from lateen.api.fields import EMPTY_MAP, FROZEN, Bool, Count, NonEmpty, Percentage
from lateen.api.structs import Checked, OpenStruct, Problem, Struct, exactly_one
from lateen.api.telemetry.scopes import ProviderRef, WorkloadMode


class LiteralTag(Struct):
    """A text."""

    value: NonEmpty


class LookedUpTag(Struct):
    """A variable of the proxy's environment, or a header of the request; without it the default, or no tag."""

    name: NonEmpty
    default_value: str = ""


class FormattedTag(Struct):
    """A format as in access logs, such as `%REQ(:AUTHORITY)%`."""

    value: NonEmpty


class CustomTag(Checked):
    """Where a tag of a span gets its value."""

    literal: LiteralTag | None = None
    environment: LookedUpTag | None = None
    header: LookedUpTag | None = None
    formatter: FormattedTag | None = None

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "literal", "environment", "header", "formatter")


CustomTags = Annotated[Mapping[NonEmpty, CustomTag], FROZEN]


class TracingMatch(Struct):
    """Which calls are meant."""

    mode: WorkloadMode = WorkloadMode.CLIENT_AND_SERVER


class TracingRule(Struct):
    """One entry of a Telemetry's `tracing`. What is not said is as a wider scope says."""

    match: TracingMatch | None = None
    providers: tuple[ProviderRef, ...] = ()
    random_sampling_percentage: Percentage | None = None
    disable_span_reporting: Bool | None = None
    custom_tags: CustomTags | None = None
    use_request_id_for_trace_sampling: Bool | None = None
    enable_istio_tags: Bool | None = None
    disable_context_propagation: Bool | None = None

    @property
    def mode(self) -> WorkloadMode:
        """Which calls are meant."""
        return self.match.mode if self.match else WorkloadMode.CLIENT_AND_SERVER


class ZipkinAddress(OpenStruct):
    """A Zipkin server as `host:port`."""

    address: str = ""


class ProxyTracing(OpenStruct):
    """How proxies trace unless a Telemetry says otherwise."""

    sampling: Percentage | None = None
    custom_tags: CustomTags = EMPTY_MAP
    max_path_tag_length: Count = 0
    zipkin: ZipkinAddress | None = None
