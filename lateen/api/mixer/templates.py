"""The templates that are built in: the fields of their instances, and the table that names them."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final

from lateen.api.expressions.types import ValueType
from lateen.api.fields import EMPTY_MAP
from lateen.api.mixer.expression_fields import (
    AddressExpression,
    AnyExpression,
    Bindings,
    BoolExpression,
    ListedExpression,
    NumberExpression,
    TextExpression,
    TimeExpression,
    ValueMap,
)
from lateen.api.mixer.structs import MixerStruct, TemplateParams


class Variety(StrEnum):
    """What the instances of a template are for."""

    CHECK = "check"
    QUOTA = "quota"
    REPORT = "report"
    ATTRIBUTE_GENERATOR = "attribute generator"


class CheckNothingParams(TemplateParams):
    """Asks without saying anything."""


class ReportNothingParams(TemplateParams):
    """Tells that something happened, without saying anything."""


class ListEntryParams(TemplateParams):
    """A value that may be on a list."""

    value: ListedExpression


class QuotaParams(TemplateParams):
    """What is counted: each tuple of dimensions has its own counter."""

    dimensions: ValueMap = EMPTY_MAP


class SubjectParams(MixerStruct):
    """Who wants something."""

    user: TextExpression | None = None
    groups: TextExpression | None = None
    properties: ValueMap = EMPTY_MAP


class ActionParams(MixerStruct):
    """What is wanted."""

    namespace: TextExpression | None = None
    service: TextExpression | None = None
    method: TextExpression | None = None
    path: TextExpression | None = None
    properties: ValueMap = EMPTY_MAP


class AuthorizationParams(TemplateParams):
    """May this subject do this?"""

    subject: SubjectParams = SubjectParams()
    action: ActionParams = ActionParams()


class ApiKeyParams(TemplateParams):
    """May a call with this key be made?"""

    api: TextExpression | None = None
    api_version: TextExpression | None = None
    api_operation: TextExpression | None = None
    api_key: TextExpression
    timestamp: TimeExpression | None = None


class MetricParams(TemplateParams):
    """A value with its dimensions."""

    value: AnyExpression
    dimensions: ValueMap = EMPTY_MAP
    monitored_resource_type: TextExpression | None = None
    monitored_resource_dimensions: ValueMap = EMPTY_MAP


class LogEntryParams(TemplateParams):
    """A line of a log."""

    variables: ValueMap = EMPTY_MAP
    timestamp: TimeExpression | None = None
    severity: TextExpression | None = None
    monitored_resource_type: TextExpression | None = None
    monitored_resource_dimensions: ValueMap = EMPTY_MAP


class TraceSpanParams(TemplateParams):
    """A span of a trace."""

    trace_id: TextExpression
    span_id: TextExpression | None = None
    parent_span_id: TextExpression | None = None
    span_name: TextExpression | None = None
    start_time: TimeExpression | None = None
    end_time: TimeExpression | None = None
    span_tags: ValueMap = EMPTY_MAP
    http_status_code: NumberExpression | None = None
    client_span: BoolExpression | None = None
    rewrite_client_span_id: BoolExpression | None = None
    source_name: TextExpression | None = None
    source_ip: AddressExpression | None = None
    destination_name: TextExpression | None = None
    destination_ip: AddressExpression | None = None
    request_size: NumberExpression | None = None
    request_total_size: NumberExpression | None = None
    response_size: NumberExpression | None = None
    response_total_size: NumberExpression | None = None
    api_protocol: TextExpression | None = None


class EdgeParams(TemplateParams):
    """An edge between two workloads."""

    timestamp: TimeExpression | None = None
    source_workload_namespace: TextExpression | None = None
    source_workload_name: TextExpression | None = None
    source_owner: TextExpression | None = None
    source_uid: TextExpression | None = None
    destination_workload_namespace: TextExpression | None = None
    destination_workload_name: TextExpression | None = None
    destination_owner: TextExpression | None = None
    destination_uid: TextExpression | None = None
    destination_service_namespace: TextExpression | None = None
    destination_service_name: TextExpression | None = None
    context_protocol: TextExpression | None = None
    api_protocol: TextExpression | None = None


class KubernetesParams(TemplateParams):
    """Which workloads are asked about; attributeBindings say which attributes get the answers."""

    source_uid: TextExpression | None = None
    source_ip: AddressExpression | None = None
    destination_uid: TextExpression | None = None
    destination_ip: AddressExpression | None = None
    destination_port: NumberExpression | None = None

    OUTPUT: ClassVar[Mapping[str, ValueType]] = MappingProxyType(
        {
            **{
                f"{side}_{fact}": kind
                for side in ("source", "destination")
                for fact, kind in (
                    ("pod_uid", ValueType.STRING),
                    ("pod_ip", ValueType.IP_ADDRESS),
                    ("pod_name", ValueType.STRING),
                    ("labels", ValueType.STRING_MAP),
                    ("namespace", ValueType.STRING),
                    ("service_account_name", ValueType.STRING),
                    ("host_ip", ValueType.IP_ADDRESS),
                    ("workload_uid", ValueType.STRING),
                    ("workload_name", ValueType.STRING),
                    ("workload_namespace", ValueType.STRING),
                    ("owner", ValueType.STRING),
                )
            },
            "destination_container_name": ValueType.STRING,
        }
    )


class KubernetesInstance(KubernetesParams):
    """The fields of the template kubernetes with their bindings, as one object of the older form."""

    attribute_bindings: Bindings = EMPTY_MAP


@dataclass(frozen=True, slots=True)
class TemplateKind:
    """A built-in template: its name, what it is for, its fields, and what a generator answers.

    `older` is what an object of the older kind by this name holds where that is more.
    """

    name: str
    variety: Variety
    params: type[TemplateParams]
    output: Mapping[str, ValueType] = EMPTY_MAP
    older: type[TemplateParams] | None = None

    @property
    def spec(self) -> type[TemplateParams]:
        """What an object of the older kind holds."""
        return self.older or self.params


TEMPLATES: Final = (
    TemplateKind("checknothing", Variety.CHECK, CheckNothingParams),
    TemplateKind("listentry", Variety.CHECK, ListEntryParams),
    TemplateKind("authorization", Variety.CHECK, AuthorizationParams),
    TemplateKind("apikey", Variety.CHECK, ApiKeyParams),
    TemplateKind("quota", Variety.QUOTA, QuotaParams),
    TemplateKind("metric", Variety.REPORT, MetricParams),
    TemplateKind("logentry", Variety.REPORT, LogEntryParams),
    TemplateKind("tracespan", Variety.REPORT, TraceSpanParams),
    TemplateKind("edge", Variety.REPORT, EdgeParams),
    TemplateKind("reportnothing", Variety.REPORT, ReportNothingParams),
    TemplateKind(
        "kubernetes", Variety.ATTRIBUTE_GENERATOR, KubernetesParams, KubernetesParams.OUTPUT, KubernetesInstance
    ),
)
"""Every template that is built in."""

_BY_NAME: Final = MappingProxyType({row.name: row for row in TEMPLATES})


def template(name: str) -> TemplateKind | None:
    """Return the built-in template of this name."""
    return _BY_NAME.get(name)


def near_templates(name: str) -> str:
    """Return the end of a message: what may have been meant, or all there are."""
    near = difflib.get_close_matches(name, _BY_NAME, n=1)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(_BY_NAME))}"
