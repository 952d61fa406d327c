"""Shortcuts for tests of the engine: configurations as users write them, and bags."""

import textwrap
from collections.abc import Mapping

from lateen.api import decode
from lateen.api.config_set import ConfigSet
from lateen.mixer import ready, rules
from lateen.mixer.ready import ReadyRules
from lateen.mixer.rules import RuleSet
from lateen.mixer.values import Attributes, Value

HEADER = "apiVersion: config.istio.io/v1alpha2\nkind: {kind}\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"


def document(kind: str, name: str, spec: str = "{}", namespace: str = "default", annotations: str = "") -> str:
    """Return one object; a name may be `namespace/name`."""
    namespace, _, name = name.rpartition("/") if "/" in name else (namespace, "", name)
    header = HEADER.format(kind=kind, name=name, namespace=namespace)
    if annotations:
        header += f"  annotations:\n    {annotations}\n"
    return f"{header}spec:\n{textwrap.indent(textwrap.dedent(spec), '  ')}\n"


def config(*documents: str) -> ConfigSet:
    """Return decoded documents, which must be without faults of their own."""
    decoded = decode.decode_yaml("---\n".join(documents), "mixer.yaml")
    assert decoded.violations == ()
    return ConfigSet(decoded.objects)


def rule_set(*documents: str) -> RuleSet:
    """Return the rules of documents."""
    return rules.resolve(config(*documents), "istio-system")


def faults(*documents: str) -> list[str]:
    """Return what is wrong with documents among each other."""
    found = rule_set(*documents)
    return [str(violation) for violation in (*found.violations, *found.unresolved)]


def ready_rules(*documents: str) -> ReadyRules:
    """Return the rules of documents, which must be without faults, ready to be asked."""
    found = rule_set(*documents)
    assert (found.violations, found.unresolved) == ((), ())
    return ready.make_ready(found)


def bag(values: Mapping[str, Value] | None = None) -> Attributes:
    """Return a bag of attributes."""
    return Attributes(values or {})
