"""Istio's annotations of pods: each either acts, or says why it does not."""

import pytest

from lateen.plan.analysis.annotations import KNOWN
from lateen.platforms.local.annotations import ACT, WITHOUT_EFFECT, doubtful


def test_every_annotation_of_pods_acts_or_says_why_not() -> None:
    of_pods = {known.name for known in KNOWN if "Pod" in known.kinds}
    assert (ACT | WITHOUT_EFFECT.keys(), ACT & WITHOUT_EFFECT.keys()) == (of_pods, set())


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("sidecar.istio.io/agentLogLevel", "debug", "annotation sidecar.istio.io/agentLogLevel has no effect here: there is no agent beside the proxy"),
        ("sidecar.istio.io/interceptionMode", "NONE", "annotation sidecar.istio.io/interceptionMode is always REDIRECT here, not NONE: connections are led into proxies by redirection; servers see their clients in x-forwarded-for"),
        ("proxy.istio.io/config", "{statNameLength: 300}", "annotation proxy.istio.io/config: statNameLength has no effect here: the names of Envoy's statistics have no bound any more"),
        ("proxy.istio.io/config", "{proxyAdminPort: 1}", "annotation proxy.istio.io/config: proxyAdminPort is always 15000 here, not 1: the commands of Lateen and the sandboxes' rules know the admin interface there"),
    ],
)  # fmt: skip
def test_what_is_not_done_is_told(name: str, value: str, told: str) -> None:
    assert list(doubtful({name: value})) == [told]


def test_what_is_done_is_not_told() -> None:
    assert not list(doubtful({"sidecar.istio.io/logLevel": "debug", "sidecar.istio.io/interceptionMode": "REDIRECT"}))
