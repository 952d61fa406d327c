"""Whose keys are taken: ApiKeyAuthentication in the plan's words."""

from collections.abc import Iterable, Iterator

from lateen.api.core.secret import Secret
from lateen.api.objects import ConfigObject
from lateen.api.policy.api_key_authentication import ApiKeyAuthentication
from lateen.plan.diagnostics import Notes, below
from lateen.plan.directory import Directory
from lateen.plan.processing_types import KeyCheck, KeyPlace
from lateen.plan.types import Origin


def key_checks(
    policies: Iterable[ConfigObject[ApiKeyAuthentication]], directory: Directory, notes: Notes
) -> Iterator[KeyCheck]:
    """Yield the checks of a class of proxies; without the Secret nobody has a key, so nobody is let in."""
    for policy in policies:
        spec, name = policy.spec, policy.spec.secret.name
        secret = next((one for one in directory.view.secrets if one.name == name), None)
        if secret is None:
            fault = f"there is no Secret {name!r} in the namespace {directory.view.namespace}: every request is refused"
            notes.add(below(Origin(policy.key, "spec.secret"), "name"), fault)
        yield KeyCheck(
            name=f"{policy.namespace}/{policy.name}",
            clients=tuple(_clients(policy, secret, notes)) if secret else (),
            places=tuple(KeyPlace(one.header or "", one.query or "", one.cookie or "") for one in spec.from_),
            client_header=spec.client_header.lower(),
            forwards_key=spec.forward_key,
            origin=Origin(policy.key, "spec"),
        )


def _clients(
    policy: ConfigObject[ApiKeyAuthentication], secret: ConfigObject[Secret], notes: Notes
) -> Iterator[tuple[str, str]]:
    """Yield clients and their keys; a key that is empty, or that another client has, lets nobody in."""
    owners: dict[str, str] = {}
    for client, content in sorted(secret.spec.contents().items()):
        key = content.decode(errors="replace").strip()
        if not key or not key.isascii():
            notes.add(_entry(policy, client), "lets nobody in: a key is text in ASCII that is not empty")
        elif key in owners:
            notes.add(_entry(policy, client), f"lets nobody in: {owners[key]!r} has the same key")
        else:
            owners[key] = client
            yield client, key


def _entry(policy: ConfigObject[ApiKeyAuthentication], client: str) -> Origin:
    return Origin(policy.key, f"spec.secret[{client}]")
