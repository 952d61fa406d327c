"""The page of findings says what the tables say."""

from pathlib import Path

from lateen.plan.analysis.codes import CODES
from lateen.plan.explain.flags import FLAGS

DOCS = Path(__file__).parents[3] / "docs"


def test_the_page_of_findings_lists_the_codes() -> None:
    rows = [line for line in (DOCS / "analyze.md").read_text().splitlines() if line.startswith(("| IST", "| LAT"))]
    assert rows == [f"| {row.code} | {row.level.value} | {row.title} |" for row in CODES]


def test_the_page_of_explain_lists_the_flags() -> None:
    page = (DOCS / "explain.md").read_text()
    assert [flag.code for flag in FLAGS if f"| {flag.code} | {flag.name} | {flag.happened} |" not in page] == []
