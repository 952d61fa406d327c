"""The control plane's own numbers, in Prometheus' text form."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator

from lateen.manager.pushes import ProxyStatus, State
from lateen.manager.store import ObjectStatus
from lateen.model.key_sets import KeySet


def text(
    generation: int,
    objects: Iterable[ObjectStatus],
    proxies: Iterable[ProxyStatus],
    violations: int,
    key_sets: Iterable[KeySet] = (),
) -> str:
    """Write down what the control plane holds and how far its proxies are."""
    by_kind = Counter(status.object.key.kind for status in objects)
    by_state = Counter(status.state for status in proxies)
    lines = [
        *_gauge("lateen_config_generation", "The number of the newest accepted change.", {"": generation}),
        *_gauge("lateen_config_violations", "Faults in the files of the mesh as they stand.", {"": violations}),
        *_gauge(
            "lateen_config_objects",
            "Objects that count, by kind.",
            {f'{{kind="{kind}"}}': count for kind, count in sorted(by_kind.items())},
        ),
        *_gauge(
            "lateen_proxies",
            "Connected proxies, by the worst state of their resource types.",
            {f'{{state="{state.value.lower()}"}}': by_state[state] for state in State},
        ),
        *_gauge(
            "lateen_token_keys_failing",
            "Whether the last attempt to fetch an issuer's keys failed, by URL.",
            {f"{{url={json.dumps(known.url)}}}": int(bool(known.failure)) for known in key_sets},
        ),
    ]
    return "\n".join(lines) + "\n"


def _gauge(name: str, help: str, values: dict[str, int]) -> Iterator[str]:
    yield f"# HELP {name} {help}"
    yield f"# TYPE {name} gauge"
    for labels, value in values.items():
        yield f"{name}{labels} {value}"
