"""Headers: which percent signs Envoy may read as commands."""

import pytest

from lateen.envoy.headers import literal_percent


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("100%", "100%%"),
        ("50% of %", "50%% of %%"),
        ("%DOWNSTREAM_REMOTE_ADDRESS%", "%DOWNSTREAM_REMOTE_ADDRESS%"),
        ("a=%REQ(x-a?x-b):10% b=5%", "a=%REQ(x-a?x-b):10% b=5%%"),
        ("%2Fpath%20with", "%%2Fpath%%20with"),
        ("100%%", "100%%"),
        ("", ""),
    ],
)
def test_only_commands_are_left_to_envoy(written: str, said: str) -> None:
    assert literal_percent(written) == said
