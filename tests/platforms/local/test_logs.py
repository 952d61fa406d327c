"""Logs that stay short."""

from pathlib import Path

from lateen.platforms.local import logs


def test_a_long_log_is_moved_away_under_its_writer(tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    with path.open("a") as writer:
        writer.write("one\n" * 100)
        writer.flush()
        assert not logs.shorten(path, most_bytes=400)
        assert logs.shorten(path, most_bytes=399)
        writer.write("two\n")
    assert path.read_text() == "two\n"
    assert path.with_name("app.log.1").read_text() == "one\n" * 100
    assert logs.tail(path) == "two"
