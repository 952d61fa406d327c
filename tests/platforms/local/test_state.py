"""Records that survive their writer."""

import stat
from pathlib import Path

import pytest

from lateen.errors import Unavailable
from lateen.platforms.local.state import StateFile


def test_what_was_saved_is_loaded_and_private(tmp_path: Path) -> None:
    path = tmp_path / "applied.json"
    assert StateFile(path).load() == ()
    StateFile(path).save([{"name": "é", "line": 3}])
    StateFile(path).save([{"name": "b", "line": 4}])
    assert StateFile(path).load() == [{"name": "b", "line": 4}]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["applied.json"]


@pytest.mark.parametrize("content", ["{", '{"version": 99, "records": []}', "[]"])
def test_a_strange_file_is_refused_and_not_overwritten(tmp_path: Path, content: str) -> None:
    path = tmp_path / "applied.json"
    path.write_text(content)
    with pytest.raises(Unavailable, match="remove it to begin without applied objects"):
        StateFile(path).load()
    assert path.read_text() == content


def test_a_folder_that_is_gone_is_said(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot keep applied objects"):
        StateFile(tmp_path / "gone" / "applied.json").save([])
