"""What the agent tells of pods for those who measure."""

from lateen.api.config_set import ConfigSet
from lateen.api.decode import decode_yaml
from lateen.platforms.local import pods, scraping
from lateen.platforms.local.pods import PodDesign
from lateen.platforms.local.proxy_environment import proxy_environment

POD = """
apiVersion: v1
kind: Pod
metadata:
  name: books
  namespace: shop
  labels: {app: library, version: v2}
  annotations: {prometheus.io/scrape: "true"}
spec:
  serviceAccountName: librarian
  containers:
  - {name: helper, command: [x]}
  - {name: app, command: [x], ports: [{containerPort: 8000}]}
"""


def design() -> PodDesign:
    (owner,) = pods.desired_owners(ConfigSet(decode_yaml(POD).objects))
    return pods.design_pod(owner, "books", "10.244.1.9")


def test_an_application_s_metrics_are_at_its_first_port() -> None:
    assert scraping.application_url(design()) == "http://10.244.1.9:8000/metrics"
    assert scraping.application_url(design(), merges=False) == ""


def test_a_proxy_s_environment_says_whose_it_is() -> None:
    found = proxy_environment(design())
    assert {name: found[name] for name in ("POD_NAME", "POD_NAMESPACE", "CANONICAL_SERVICE", "CANONICAL_REVISION")} == {
        "POD_NAME": "books",
        "POD_NAMESPACE": "shop",
        "CANONICAL_SERVICE": "library",
        "CANONICAL_REVISION": "v2",
    }
    assert found["OTEL_RESOURCE_ATTRIBUTES"].split(",")[:3] == [
        "service.name=library.shop",
        "service.version=v2",
        "service.instance.id=books.shop",
    ]
