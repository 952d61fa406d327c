"""`lateen logs --audit`: the records among the lines of a proxy's log."""

from pathlib import Path

import pytest

from lateen.cli import logs

RECORDS = ['{"decision":"deny","type":"audit"}', '{"decision":"audit","type":"audit"}']
LINES = ["[warning] something", RECORDS[0], '{"type":"other"}', "{no JSON", "[1]", RECORDS[1], '{"type":"audit"']


def test_only_records_are_shown(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert _shown(tmp_path, capfdbinary, None) == RECORDS


def test_the_last_ones_are_shown_if_asked(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert _shown(tmp_path, capfdbinary, 1) == RECORDS[1:]
    assert _shown(tmp_path, capfdbinary, 0) == []


def test_what_is_written_later_is_followed_in_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = tmp_path / "log"
    path.write_text("\n".join(LINES))
    steps = iter([lambda: path.open("a").write("}\n"), lambda: 1 / 0])
    monkeypatch.setattr(logs.time, "sleep", lambda _: next(steps)())
    with path.open("rb") as log, pytest.raises(ZeroDivisionError):
        logs._copy_records(log, 0, path)
    assert capfdbinary.readouterr().out == b'{"type":"audit"}\n'


def _shown(place: Path, captured: pytest.CaptureFixture[bytes], tail: int | None) -> list[str]:
    path = place / "log"
    path.write_text("\n".join(LINES))
    with path.open("rb") as log:
        logs._copy_records(log, tail, None)
    return captured.readouterr().out.decode().splitlines()
