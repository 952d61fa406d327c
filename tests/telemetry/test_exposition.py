"""Prometheus' text form, read and written."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lateen.telemetry import exposition
from lateen.telemetry.exposition import Sample

TOLD = """
# HELP requests_total How many.
# TYPE requests_total counter
requests_total{method="GET",path="/a} b",} 3 1700000000
# TYPE took histogram
took_bucket{le="0.5"} 1
took_bucket{le="+Inf"} 2
took_sum 0.75
took_count 2
up 1 # {trace="x"} 1
this is nothing
open_metrics{a="b"}
# EOF
"""


def test_an_answer_becomes_families_and_what_is_none_is_counted() -> None:
    found = exposition.read(TOLD)
    assert {name: (family.kind, family.lines) for name, family in found.families.items()} == {
        "requests_total": ("counter", ['requests_total{method="GET",path="/a} b"} 3']),
        "took": (
            "histogram",
            ['took_bucket{le="0.5"} 1', 'took_bucket{le="+Inf"} 2', "took_sum 0.75", "took_count 2"],
        ),
        "up": ("untyped", ["up 1"]),
    }
    assert found.unreadable == 2


def test_what_is_written_is_read_as_the_same() -> None:
    families = exposition.read(TOLD).families
    assert exposition.read(exposition.write(families.values())).families == families


def test_samples_have_their_labels_unescaped_and_sorted() -> None:
    line = 'x{b="1",a="say \\"hi\\"\\n\\\\"} NaN'
    found = exposition.sample_of(line)
    assert (found.name, found.labels) == ("x", (("a", 'say "hi"\n\\'), ("b", "1")))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("x 1", 'x{pod="p"} 1'),
        ('x{a="b"} 1', 'x{pod="p",a="b"} 1'),
        ('x{pod="q",a="pod=\\"q\\""} 1', 'x{pod="p",exported_pod="q",a="pod=\\"q\\""} 1'),
    ],
)
def test_labels_are_added_and_those_of_the_same_name_are_kept_apart(line: str, expected: str) -> None:
    assert exposition.labelled(line, {"pod": "p"}) == expected


@given(st.text())
def test_any_text_can_be_a_label(text: str) -> None:
    line = f'x{{a="{exposition.escaped(text)}"}} 1'
    assert exposition.sample_of(line) == Sample("x", (("a", text),), 1.0)


@given(st.text(alphabet=st.sampled_from('abx_{}="\\,#. 1\n\t-+eNaInf')))
def test_no_text_breaks_the_reader_and_what_it_reads_can_be_read_again(text: str) -> None:
    found = exposition.read(text)
    for family in found.families.values():
        for line in family.lines:
            assert exposition.sample_of(exposition.labelled(line, {"pod": "p"})).name == exposition.sample_of(line).name


@given(st.floats())
def test_numbers_survive(value: float) -> None:
    found = exposition.sample_of(f"x {exposition.written_number(value)}").value
    assert found == value or (math.isnan(found) and math.isnan(value))


def test_a_well_formed_answer_is_taken_apart_as_it_is_read() -> None:
    text = '# TYPE took histogram\ntook_bucket{le="+Inf"} 2\ntook_sum{} 0.75\ntook_count 2\n# HELP up Whether.\nup 1\n'
    assert exposition.split(text) == exposition.read(text).families
