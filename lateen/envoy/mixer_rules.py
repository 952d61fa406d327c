"""Mixer's rules in Envoy's words: shared by requests and connections."""

from collections.abc import Iterable
from typing import Any, Final

from envoy.config.rbac.v3 import rbac_pb2
from envoy.type.matcher.v3 import metadata_pb2, value_pb2

from lateen.envoy import conditions
from lateen.plan.conditions import Condition

GATE_PREFIX: Final = "lateen_mixer_"
"""Before the metadata that tells which rule is to be asked about, in the namespace of the RBAC filter."""

_MATCHED: Final = f"{GATE_PREFIX}shadow_effective_policy_id"
_SEPARATOR: Final = "/"


def denying(rules: Iterable[tuple[str, Condition]]) -> Any:
    """Say rules of which none may fit; Envoy asks them in the order of their names, which say their place."""
    message = rbac_pb2.RBAC(action="DENY")
    for name, when in rules:
        for number, policy in enumerate(conditions.policies(when)):
            message.policies[f"{name}{_SEPARATOR}{number}"].CopyFrom(policy)
    return message


def passed_gate(filter_name: str) -> Any:
    """Say that some rule is to be asked about."""
    return metadata_pb2.MetadataMatcher(
        filter=filter_name,
        path=[metadata_pb2.MetadataMatcher.PathSegment(key=_MATCHED)],
        value=value_pb2.ValueMatcher(present_match=True),
    )
