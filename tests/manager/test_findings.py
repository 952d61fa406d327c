"""Findings are looked for once a snapshot, and told together with what planning noticed."""

import pytest

from lateen.api.objects import ObjectKey
from lateen.manager.findings import Findings, Moment
from lateen.plan.analysis import analyze
from lateen.plan.types import Diagnostic, Origin
from tests.plan import worlds

RULE = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: cart}
spec: {hosts: [cart], http: [{route: [{destination: {host: cart, subset: v9}}]}]}
"""


async def test_a_snapshot_is_analyzed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(analyze, "analyze", lambda snapshot: asked.append(snapshot) or ())
    first, second = worlds.snapshot(worlds.SHOP), worlds.snapshot(worlds.SHOP)
    known = Findings()
    for snapshot in (first, first, second, first, second):
        await known.at(Moment(snapshot, ()))
    assert asked == [first, second]


async def test_what_plans_say_comes_first() -> None:
    doubt = Diagnostic(Origin(ObjectKey("", "Service", "default", "cart")), "is strange")
    told = await Findings().at(Moment(worlds.snapshot(worlds.SHOP + RULE), (doubt,)))
    assert told[0] == doubt
    assert "IST0101" in {one.code for one in told}
