"""ExternalProcessor and ApiKeyAuthentication as users write them, and what is told to those who write them wrongly."""

import pytest

from lateen.api.decode import decode_yaml
from lateen.api.policy.api_key_authentication import ApiKeyAuthentication, KeySource

PROCESSOR = """
apiVersion: lateen.dev/v1
kind: ExternalProcessor
metadata: {name: censor}
spec: {provider: {name: censor}, request: {headers: SEND}}
"""
KEYS = """
apiVersion: lateen.dev/v1
kind: ApiKeyAuthentication
metadata: {name: keys}
spec: {secret: {name: clients}}
"""

WRONG = [
    (PROCESSOR, "provider: {name: censor}, ", "", "spec.provider: must be set"),
    (PROCESSOR, "headers: SEND", "headers: SKIP", "must have something to send"),
    (PROCESSOR, "headers: SEND", "body: WHOLE", "must be one of NONE, STREAMED, BUFFERED, BUFFERED_PARTIAL"),
    (PROCESSOR, "headers: SEND}", "headers: SEND}, match: {when: 'true'}", "spec.match.when: must not be set"),
    (PROCESSOR, "headers: SEND}", "headers: SEND}, timeout: 2h", "spec.timeout: must be at most 1h"),
    (KEYS, "secret: {name: clients}", "from: [{header: a}]", "spec.secret: must be set"),
    (KEYS, "}}", "}, from: [{header: a, query: b}]}", "must have only one of header, query, cookie"),
    (KEYS, "}}", "}, from: []}", "leave it out to look at the header x-api-key"),
    (KEYS, "}}", "}, clientHeader: X-Api-Key}", "spec.from[0].header: must be another header than clientHeader"),
]


def test_a_secret_is_enough_for_keys() -> None:
    decoded = decode_yaml(KEYS, "keys.yaml")
    assert decoded.violations == ()
    spec = decoded.objects[0].spec
    assert isinstance(spec, ApiKeyAuthentication)
    assert (spec.from_, spec.client_header) == ((KeySource(header="x-api-key"),), "x-api-client")


@pytest.mark.parametrize(("text", "old", "new", "told"), WRONG)
def test_what_is_wrong_is_told(text: str, old: str, new: str, told: str) -> None:
    assert old in text
    assert told in "\n".join(map(str, decode_yaml(text.replace(old, new), "policy.yaml").errors))
