"""The vocabulary: what it holds is consistent, and what the documentation says of it is true."""

import subprocess
import sys
from pathlib import Path

import pytest

from lateen.api.expressions import cel
from lateen.api.expressions.cel_functions import ENVOY_ROOTS
from lateen.api.expressions.tree import attribute_names
from lateen.mixer import attributes
from lateen.mixer.origins import AttributeEntry, Keeper, When

ROOT = Path(__file__).parents[2]


def test_the_page_is_current() -> None:
    command = (sys.executable, ROOT / "scripts" / "write-attributes", "--check")
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stderr


def test_names_are_unique_and_old_names_lead_to_them() -> None:
    assert len(attributes.ENTRIES) == len(attributes.VOCABULARY)
    assert set(attributes.OLD_NAMES.values()) <= set(attributes.ENTRIES)
    assert not set(attributes.OLD_NAMES) & set(attributes.ENTRIES)


@pytest.mark.parametrize("entry", attributes.VOCABULARY, ids=lambda entry: entry.name)
def test_where_a_value_comes_from_is_something_that_envoy_has(entry: AttributeEntry) -> None:
    for origin in (entry.server, entry.client):
        if origin.cel:
            assert cel.check(origin.cel) == []
            assert {name.partition(".")[0] for name in attribute_names(cel.parse(origin.cel))} <= ENVOY_ROOTS
        if origin.operator:
            assert origin.operator[0] == origin.operator[-1] == "%"
        if origin.keeper in (Keeper.OWN, Keeper.PEER, Keeper.SERVICE, Keeper.JWT, Keeper.PLACE):
            assert origin.fact


def test_responses_are_known_at_the_end_only() -> None:
    early = {entry.name for entry in attributes.VOCABULARY if entry.server.when is When.REQUEST}
    assert {name for name in early if name.startswith(("response.", "check.", "quota."))} == set()
    assert {"request.headers", "source.principal", "destination.labels", "connection.mtls"} <= early
