"""Every code has a configuration in which it is found, and one in which it is not: `findings.yaml`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lateen.api.kinds import KINDS
from lateen.model.snapshot import Snapshot
from lateen.model.workload import Membership, Workload, WorkloadKey
from lateen.plan.analysis import analyze, codes
from tests.plan import worlds

CASES: Mapping[str, Any] = yaml.safe_load((Path(__file__).parent / "findings.yaml").read_text())
API_VERSIONS = {row.kind: row.api_versions[0] for row in KINDS}
CLUSTER_WIDE = {row.kind for row in KINDS if not row.namespaced}


def test_every_code_with_a_function_has_a_case() -> None:
    assert [row.code for row in codes.CODES if row.find is not None] == list(CASES)


def test_codes_are_in_order_and_unique() -> None:
    known = [str(row.code) for row in codes.CODES]
    assert known == sorted(set(known))


@pytest.mark.parametrize("code", CASES)
def test_a_code_is_found_where_it_belongs(code: str) -> None:
    case = CASES[code]
    assert sorted(found(code, case["bad"], case)) == sorted(case["at"])


@pytest.mark.parametrize("code", CASES)
def test_a_code_is_not_found_elsewhere(code: str) -> None:
    case = CASES[code]
    assert list(found(code, case["good"], case)) == []


def found(code: str, objects: Mapping[str, Any], case: Mapping[str, Any]) -> Iterator[str]:
    for one in analyze.analyze(world(objects, case)):
        if one.code == code:
            assert one.message[0].islower() or one.message[0].isupper() or one.message.startswith("'")
            yield str(one.origin)


def world(objects: Mapping[str, Any], case: Mapping[str, Any]) -> Snapshot:
    text = "\n---\n".join(json.dumps(document(name, spec)) for name, spec in objects.items())
    return worlds.snapshot(text, workloads=[*pods(case), *members(case)])


def pods(case: Mapping[str, Any]) -> Iterator[Workload]:
    for name, labels in case.get("pods", {}).items():
        yield Workload(WorkloadKey("default", name), "", labels)


def members(case: Mapping[str, Any]) -> Iterator[Workload]:
    for name, (group, address, account) in case.get("members", {}).items():
        yield Workload(
            WorkloadKey("default", name), address, service_account=account, owner=name, membership=Membership(group)
        )


def document(reference: str, written: Mapping[str, Any]) -> dict[str, Any]:
    kind, _, whole = reference.partition(" ")
    namespace, _, name = whole.rpartition("/")
    spec = {key: value for key, value in written.items() if key not in ("meta", "root")}
    metadata = {"name": name, **written.get("meta", {})}
    if kind not in CLUSTER_WIDE:
        metadata["namespace"] = namespace or "default"
    body = {"apiVersion": API_VERSIONS[kind], "kind": kind, "metadata": metadata, **written.get("root", {})}
    if kind == "Deployment":
        spec = deployment(name, spec)
    return body if kind in ("Namespace", "Secret") else {**body, "spec": spec}


def deployment(name: str, written: Mapping[str, Any]) -> dict[str, Any]:
    labels, annotations = written["template"], written.get("annotations", {})
    pod = {"containers": [{"name": name, "image": written.get("image", "own"), "command": ["true"]}]}
    template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod}
    return {"selector": {"matchLabels": labels}, "template": template}
