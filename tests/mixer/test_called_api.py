"""Attributes of APIs: looked up in the HTTPAPISpecs of the called service, where anybody asks for them."""

from lateen.api.mixer.services import ApiKeyPlace, ApiPattern, HttpApiSpec, ServiceReference
from lateen.api.objects import ConfigObject, Metadata, ObjectKey
from lateen.mixer.bound_services import Bound
from lateen.mixer.called_api import ApiBag, called_service
from lateen.mixer.values import ABSENT, Attributes, Value

PETS = HttpApiSpec(
    attributes={"api.service": "petstore", "api.version": "v1"},
    patterns=(ApiPattern(http_method="GET", uri_template="/pets/{id}", attributes={"api.operation": "get-pet"}),),
    api_keys=(ApiKeyPlace(cookie="key"),),
)


def bound(spec: HttpApiSpec) -> Bound[HttpApiSpec]:
    key = ObjectKey("config.istio.io", "HTTPAPISpec", "shop", "pets")
    written = ConfigObject(key, "config.istio.io/v1alpha2", Metadata(), spec)
    return Bound(written, (ServiceReference(name="pets", namespace="shop"),), "shop")


def request(path: str = "/pets/7", service: str = "pets", **headers: str) -> Attributes:
    values: dict[str, Value] = {
        "destination.service.host": f"{service}.shop.svc.cluster.local",
        "destination.service.name": service,
        "destination.service.namespace": "shop",
        "destination.labels": {"app": service},
        "request.method": "GET",
        "request.url_path": path,
        "request.query_params": {},
        "request.headers": headers,
    }
    return Attributes(values)


def test_the_called_service() -> None:
    found = called_service(request())
    assert (found.host, found.name, found.namespace) == ("pets.shop.svc.cluster.local", "pets", "shop")
    assert found.labels == {"app": "pets"}


def test_what_a_request_is_called() -> None:
    bag = ApiBag([bound(PETS)], request())
    assert [bag.get(f"api.{name}") for name in ("service", "version", "operation")] == ["petstore", "v1", "get-pet"]
    assert ApiBag([bound(PETS)], request("/other")).get("api.operation") is ABSENT
    assert ApiBag([bound(PETS)], request(service="other")).get("api.service") is ABSENT


def test_where_a_key_is_found() -> None:
    assert ApiBag([bound(PETS)], request(cookie="a=b; key=k")).get("request.api_key") == "k"
    assert ApiBag([], request(**{"x-api-key": "h"})).get("request.api_key") == "h"
    assert ApiBag([bound(PETS)], request(**{"x-api-key": "h"})).get("request.api_key") is ABSENT


def test_everything_else_is_the_other_bags() -> None:
    bag = ApiBag([bound(PETS)], request(a="1"))
    assert (bag.get("request.method"), bag.entry("request.headers", "a")) == ("GET", "1")
