"""What the API says, as JSON values: pure functions from our types. Keys are snake_case and stay as they are."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lateen.api import decode, kinds
from lateen.api.objects import ObjectKey
from lateen.api.violations import Violation
from lateen.manager.liveness import Verdict
from lateen.manager.pushes import ProxyStatus, ResourceStatus, State
from lateen.manager.registrations import Entry
from lateen.manager.store import ObjectStatus, Outcome
from lateen.serving.ports import Origins, WorkloadRow

Json = dict[str, Any]

_STATES = {
    State.NOT_SENT: "not sent",
    State.SYNCED: "synced",
    State.STALE: "stale",
    State.ERROR: "error",
}


def workload(row: WorkloadRow, proxies: Mapping[str, ProxyStatus], now: float) -> Json:
    """Describe a workload and the state of its proxy."""
    values = asdict(row)
    created = values.pop("created")
    return {
        **values,
        "containers": [_container(each, now) for each in values.get("containers", ())],
        "age_seconds": now - created if created else None,
        "proxy": _proxy_of(row, proxies),
    }


def _container(values: Json, now: float) -> Json:
    started = values.pop("started_at", 0.0)
    return {**values, "age_seconds": now - started if started else None}


def _proxy_of(row: WorkloadRow, proxies: Mapping[str, ProxyStatus]) -> Json:
    """Say how a workload's proxy stands: `none` where it has none, `gone` where it is not connected."""
    if not row.role:
        return {"state": "none", "message": "", "age_seconds": None}
    status = proxies.get(f"{row.name}.{row.namespace}")
    if status is None:
        return {"state": "gone", "message": "not connected", "age_seconds": None}
    message = next((each.message for each in status.types if each.message), "")
    return {"state": _STATES[status.state], "message": message, "age_seconds": status.seconds}


def proxy(status: ProxyStatus, row: WorkloadRow | None, origins: Origins) -> Json:
    """Describe what a proxy has acknowledged and what it refuses, type by type."""
    proxy_name = str(status.proxy)
    name, _, namespace = proxy_name.rpartition(".")
    return {
        "proxy": proxy_name,
        "name": name,
        "namespace": namespace,
        "role": row.role if row else "",
        "state": _STATES[status.state],
        "connected_seconds": status.seconds,
        "types": {each.short.lower(): _type(proxy_name, each, origins) for each in status.types},
    }


def _type(proxy_name: str, status: ResourceStatus, origins: Origins) -> Json:
    return {
        "state": _STATES[status.state],
        "age_seconds": status.seconds,
        "sent_generation": status.sent,
        "acknowledged_generation": status.acked,
        "message": status.message or "",
        "rejected": [
            {
                "resource": each.name,
                "message": each.message,
                "objects": [str(key) for key in origins.origins(proxy_name, status.short, each.name)],
            }
            for each in status.rejected
        ],
    }


def config_object(status: ObjectStatus, generation: int, doubts: Sequence[Violation] = ()) -> Json:
    """Describe an object that counts: what was written, where, and whether a later version was refused.

    `doubts` are warnings about it that came up while it was put into effect.
    """
    item = status.object
    return {
        "kind": item.key.kind,
        "group": item.key.group,
        "api_version": item.api_version,
        "namespace": item.namespace,
        "name": item.name,
        "state": "rejected" if status.refused else "accepted",
        "is_applied": status.is_applied,
        "file": item.source.file,
        "line": item.source.line,
        "generation": generation,
        "violations": [violation(each) for each in (*status.refused, *doubts)],
        "made_by": "",
        "body": decode.encode(item),
        "yaml": decode.encode_yaml([item]),
    }


def registered_entry(entry: Entry, generation: int) -> Json:
    """Describe a WorkloadEntry that stands for a member of a group, in the form of an object that a user wrote.

    `generation` is that of its group.
    """
    item = entry.object
    status = {"status": {"conditions": [dict(one) for one in entry.conditions]}} if entry.conditions else {}
    body = {**decode.encode(item), **status}
    state = "registered" if entry.is_healthy else "unhealthy"
    return {
        **config_object(ObjectStatus(item, is_applied=False), generation),
        "state": state if entry.is_connected else "disconnected",
        "file": "",
        "line": 0,
        "made_by": f"{entry.group.kind.lower()}/{entry.group.name}",
        "body": body,
        "yaml": decode.yaml_text([body]),
    }


def outcomes(found: Sequence[Outcome], generation: int, consequences: Sequence[Violation] = ()) -> Json:
    """Describe what became of the objects of an edit; `consequences` are what is doubtful about others since then."""
    return {
        "generation": generation,
        "consequences": [violation(each) for each in consequences],
        "outcomes": [
            {
                "subject": each.subject,
                "action": each.action.value,
                "violations": [violation(one) for one in each.violations],
                "note": each.note,
            }
            for each in found
        ],
    }


def violation(found: Violation) -> Json:
    """Describe a fault."""
    return {
        "file": found.source.file,
        "line": found.line,
        "subject": found.subject,
        "path": found.path,
        "message": found.message,
        "severity": found.severity.value,
        "code": found.code,
    }


def verdict(key: ObjectKey | None, found: Verdict, proxies: Mapping[str, ProxyStatus]) -> Json:
    """Say whether an object is live, or all of them without a key, and what is missing."""
    unsettled = []
    for name in found.unsettled:
        status = proxies.get(name)
        message = next((each.message for each in status.types if each.message), "") if status else "not connected"
        unsettled.append({"proxy": name, "state": _STATES[status.state] if status else "gone", "message": message})
    unready = [
        {"workload": f"{row.name}.{row.namespace}", "status": row.status, "reason": row.reason} for row in found.unready
    ]
    return {
        "object": str(key) if key else None,
        "is_live": found.is_live,
        "generation": found.generation,
        "acknowledged": len(found.concerned) - len(found.unsettled),
        "unsettled": unsettled,
        "unready": unready,
        "missing_workloads": found.missing,
        "violations": [violation(each) for each in found.refused],
    }


def kind_words() -> list[str]:
    """List one word for each kind."""
    return [row.kind.lower() for row in kinds.KINDS]
