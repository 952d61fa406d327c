"""A handler whose adapter runs in a process of its own."""

import itertools
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError

from lateen.adapters.remote import templates, wire
from lateen.adapters.remote.calls import Calls
from lateen.adapters.remote.encoding import Types
from lateen.adapters.remote.inferred import inferred
from lateen.adapters.remote.session import Session
from lateen.adapters.remote.templates import RemoteTemplate
from lateen.adapters.surroundings import Surroundings
from lateen.api.mixer.descriptions import AdapterDescription
from lateen.api.status_codes import StatusCode
from lateen.errors import ConfigRejected, Unavailable
from lateen.mixer.ports import CheckResult, MadeInstance, QuotaRequest, QuotaResult
from lateen.mixer.rule_types import ResolvedHandler, ResolvedInstance
from lateen.mixer.status import DirectResponse, Status
from lateen.mixer.values import Value

TYPE_URL: Final = "type.googleapis.com"


class RemoteHandler:
    """Sends instances to an adapter; in a session, where the adapter keeps the settings, or with them each time."""

    def __init__(
        self,
        handler: ResolvedHandler,
        instances: Sequence[tuple[ResolvedInstance, RemoteTemplate]],
        surroundings: Surroundings,
    ) -> None:
        """Prepare what is sent of these instances. Raises `ConfigRejected` for settings that cannot be sent."""
        description = handler.description.spec if handler.description is not None else None
        if handler.connection is None or not isinstance(description, AdapterDescription):
            raise ConfigRejected(f"{handler.name} has no adapter that runs elsewhere")
        self._templates = {instance.name: template for instance, template in instances}
        self._types: Mapping[str, Types] = {each.name: _types(each) for each, _ in instances}
        params: Mapping[str, Any] = handler.params if isinstance(handler.params, Mapping) else {}
        self._settings = _any(*templates.adapter_config(handler.adapter, description.config, params))
        self._calls = Calls(handler.connection, surroundings)
        told = {each.name: self._inferred(each) for each, _ in instances}
        self._session = Session(self._calls, self._settings, told) if description.session_based else None
        self._prefix = secrets.token_hex(8)
        self._numbers = itertools.count(1)

    async def check(self, instance: MadeInstance) -> CheckResult:
        """Ask about an instance. Raises `Unavailable`."""
        answer = await self._send([instance])
        fields = answer.DESCRIPTOR.fields_by_name
        found = answer.result if "result" in fields else answer
        return CheckResult(
            _status(found.status),
            found.valid_duration.ToTimedelta(),
            int(found.valid_use_count),
            _output(answer.output) if "output" in fields else {},
            _direct(found.status),
        )

    async def take(self, instance: MadeInstance, request: QuotaRequest) -> QuotaResult:
        """Take from a quota. Raises `Unavailable`, also where nothing is said about it."""
        answer = await self._send([instance], request)
        if instance.name not in answer.quotas:
            raise Unavailable(f"the adapter says nothing about quota {instance.name}")
        found = answer.quotas[instance.name]
        return QuotaResult(int(found.granted_amount), found.valid_duration.ToTimedelta())

    async def report(self, instances: Sequence[MadeInstance]) -> None:
        """Tell of instances of one template. Raises `Unavailable`."""
        if instances:
            await self._send(instances)

    async def close(self) -> None:
        """End the session and the connection."""
        if self._session is not None:
            await self._session.close()
        await self._calls.close()

    async def _send(self, instances: Sequence[MadeInstance], quota: QuotaRequest | None = None) -> Any:
        template = self._templates[instances[0].name]
        request = template.request()
        for instance in instances:
            template.add_instance(request, instance, self._types.get(instance.name, {}))
        settings = self._settings if self._session is None else await self._session.settings()
        request.adapter_config.type_url, request.adapter_config.value = settings.type_url, settings.value
        request.dedup_id = (quota.deduplication_id if quota else "") or f"{self._prefix}-{next(self._numbers)}"
        if quota is not None:
            wanted = request.quota_request.quotas[instances[0].name]
            wanted.amount, wanted.best_effort = quota.amount, quota.best_effort
        data = await self._calls.call(template.path, request.SerializeToString())
        try:
            return template.answer.FromString(data)
        except DecodeError:
            raise Unavailable(f"the adapter answers {template.path} with something else") from None

    def _inferred(self, instance: ResolvedInstance) -> Any:
        """Tell the types of an instance's fields."""
        descriptor = self._templates[instance.name].instance
        package = descriptor.file.package
        return _any(f"{package}.Type" if package else "Type", inferred(descriptor, self._types[instance.name]))


def _any(name: str, value: bytes) -> Any:
    return any_pb2.Any(type_url=f"{TYPE_URL}/{name}" if name else "", value=value)


def _types(instance: ResolvedInstance) -> Types:
    return {each.at: each.typed.type for each in instance.fields}


def _status(found: Any) -> Status:
    known = found.code in StatusCode.__members__.values()
    return Status(StatusCode(found.code) if known else StatusCode.UNKNOWN, str(found.message))


def _direct(status: Any) -> DirectResponse | None:
    """Return what the adapter wants clients to be answered, as the details of a status say it."""
    kind = wire.direct_response()
    for detail in status.details:
        if detail.type_url.endswith(f"/{kind.DESCRIPTOR.full_name}"):
            try:
                found = kind.FromString(detail.value)
            except DecodeError:
                return None
            code = found.code or Status(StatusCode(status.code)).http_status
            return DirectResponse(code, found.body, dict(found.headers))
    return None


def _output(message: Any) -> dict[str, Value]:
    """Return the fields of an answer that header operations may read: those that are texts, numbers or truths."""
    found = {field.name: value for field, value in message.ListFields()}
    return {name: value for name, value in found.items() if isinstance(value, bool | int | float | str)}
