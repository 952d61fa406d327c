"""What a request is called in public, beside what it is: a bag in front of another one, for the attributes of APIs."""

from collections.abc import Iterable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Final

from lateen.api.mixer.services import HttpApiSpec
from lateen.mixer import api_specs
from lateen.mixer.bound_services import Bound, CalledService, specs_for
from lateen.mixer.values import ABSENT, Absent, Bag, Value

API_KEY: Final = "request.api_key"
_PREFIX: Final = "api."


def called_service(bag: Bag) -> CalledService:
    """Return the service that a request is for."""
    labels = bag.get("destination.labels")
    host, name, namespace = (_text(bag.get(f"destination.service.{fact}")) for fact in ("host", "name", "namespace"))
    return CalledService(host, name, namespace, labels if isinstance(labels, Mapping) else {})


class ApiBag:
    """Looks the attributes of APIs up when they are asked for; everything else is the other bag's."""

    __slots__ = ("_apis", "_attributes", "_behind")

    def __init__(self, apis: Iterable[Bound[HttpApiSpec]], behind: Bag) -> None:
        self._apis = tuple(apis)
        self._behind = behind
        self._attributes: Mapping[str, str] | None = None

    def get(self, name: str) -> Value | Absent:
        """Return the value of an attribute."""
        if name != API_KEY and not name.startswith(_PREFIX):
            return self._behind.get(name)
        if self._attributes is None:
            self._attributes = self._looked_up()
        return self._attributes.get(name, ABSENT)

    def entry(self, name: str, key: str) -> str | Absent:
        """Return one entry of an attribute that is a map."""
        return self._behind.entry(name, key)

    def _looked_up(self) -> Mapping[str, str]:
        bag = self._behind
        specs = tuple(specs_for(self._apis, called_service(bag)))
        found = dict(api_specs.attributes(specs, _text(bag.get("request.method")), _text(bag.get("request.url_path"))))
        headers, query = bag.get("request.headers"), bag.get("request.query_params")
        if isinstance(headers, Mapping) and isinstance(query, Mapping):
            places = api_specs.key_places(specs)
            if key := api_specs.api_key(places, query, headers, _cookies(headers.get("cookie", ""))):
                found[API_KEY] = key
        return found


def _text(value: Value | Absent) -> str:
    return value if isinstance(value, str) else ""


def _cookies(header: str) -> Mapping[str, str]:
    try:
        return {name: each.value for name, each in SimpleCookie(header).items()}
    except CookieError:
        return {}
