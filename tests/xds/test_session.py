"""Conversations with one proxy, as text: see playbook.py for the words."""

from pathlib import Path

import pytest
from playbook import Playbook

from lateen.xds.commands import Close
from lateen.xds.events import Subscribe

PLAYBOOKS = sorted((Path(__file__).parent / "playbooks").glob("*.txt"))


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.stem)
def test_conversation_goes_as_written(path: Path) -> None:
    Playbook().play(path.read_text())


def test_a_subscription_without_a_type_ends_the_stream() -> None:
    (command,) = Playbook().session.receive(Subscribe(""))
    assert isinstance(command, Close)


def test_a_stream_that_asks_for_ever_more_types_is_ended() -> None:
    session = Playbook().session
    commands = [command for number in range(40) for command in session.receive(Subscribe(f"type.{number}"))]
    assert any(isinstance(command, Close) for command in commands)
