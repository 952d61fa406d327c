"""Sets of objects as values."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from lateen.api.changes import Remove, Upsert
from lateen.api.config_set import ConfigSet
from lateen.api.core.namespace import Namespace
from lateen.api.core.service_account import ServiceAccount
from lateen.api.objects import ConfigObject, Metadata, ObjectKey
from lateen.api.structs import Struct


def account(name: str, namespace: str = "default", body: bytes = b"") -> ConfigObject[Struct]:
    key = ObjectKey("", "ServiceAccount", namespace, name)
    return ConfigObject(key, "v1", Metadata(), ServiceAccount(), body=body)


ACCOUNTS = [account(name, namespace) for namespace in ("a", "b") for name in ("x", "y", "z")]


@given(st.permutations(ACCOUNTS))
def test_the_order_of_objects_does_not_matter(objects: list[ConfigObject[Struct]]) -> None:
    config = ConfigSet(objects)
    assert config == ConfigSet(ACCOUNTS)
    assert hash(config) == hash(ConfigSet(ACCOUNTS))
    assert list(config) == ACCOUNTS
    assert config.of(ServiceAccount) == tuple(ACCOUNTS)
    assert config.of(ServiceAccount, "b") == tuple(ACCOUNTS[3:])
    assert config.of(Namespace) == ()


def test_changes_make_a_new_set_and_share_what_they_do_not_touch() -> None:
    before = ConfigSet(ACCOUNTS)
    changed = account("x", "a", b"{}")
    after = before.apply([Upsert(changed), Remove(ACCOUNTS[1].key), Remove(account("gone").key)])
    assert [len(before), len(after)] == [6, 5]
    assert after.get(changed.key) is changed
    assert ACCOUNTS[1].key not in after
    assert before != after
    assert after.shelf(ServiceAccount, "b") is before.shelf(ServiceAccount, "b")
    assert after.apply([Upsert(ACCOUNTS[0]), Upsert(ACCOUNTS[1])]) == before


def test_an_object_is_what_it_says_not_where_it_was_said() -> None:
    assert account("x") == replace(account("x"), api_version="v2")
    assert account("x") != account("x", body=b"{}")
    assert str(account("x").key) == "ServiceAccount default/x"
