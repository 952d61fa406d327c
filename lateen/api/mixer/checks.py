"""Parameters of the adapters that check: denier, listchecker, opa, and those without parameters."""

from collections.abc import Iterator
from datetime import timedelta

from lateen.api.fields import Bool, Count, Duration, PositiveDuration, check_cidr, check_regex
from lateen.api.mixer.status import RefusalStatus
from lateen.api.mixer.structs import AdapterParams, NumberedEnum
from lateen.api.security.request_authentication import Url
from lateen.api.structs import Problem, exactly_one


class DenierParams(AdapterParams):
    """Refuses whatever it is asked, with a status."""

    status: RefusalStatus = RefusalStatus()
    valid_duration: Duration = timedelta(seconds=5)
    valid_use_count: Count = 1000


class EntryType(NumberedEnum):
    """How the entries of a list are compared with a value."""

    STRINGS = "STRINGS"
    CASE_INSENSITIVE_STRINGS = "CASE_INSENSITIVE_STRINGS"
    IP_ADDRESSES = "IP_ADDRESSES"
    REGEX = "REGEX"


class ListCheckerParams(AdapterParams):
    """Lets pass what is on a list, or with `blacklist` what is not.

    The list is fetched from `providerUrl` each `refreshInterval`; what was fetched last counts for `ttl`. `overrides`
    are always on it.
    """

    provider_url: Url | None = None
    refresh_interval: PositiveDuration = timedelta(seconds=60)
    ttl: PositiveDuration = timedelta(seconds=300)
    caching_interval: Duration = timedelta(seconds=300)
    caching_use_count: Count = 10_000
    overrides: tuple[str, ...] = ()
    entry_type: EntryType = EntryType.STRINGS
    blacklist: Bool = False

    def problems(self) -> Iterator[Problem]:
        check = {EntryType.IP_ADDRESSES: check_cidr, EntryType.REGEX: check_regex}.get(self.entry_type)
        for position, entry in enumerate(self.overrides if check else ()):
            try:
                check(entry) if check else None
            except ValueError as error:
                yield Problem(str(error), f"overrides[{position}]")
        if self.provider_url and self.ttl < self.refresh_interval:
            yield Problem("must not be shorter than refreshInterval, or the list comes and goes", "ttl")


class OpaParams(AdapterParams):
    """Asks Rego: policies that are given here, or a server of Open Policy Agent."""

    policy: tuple[str, ...] = ()
    server_url: Url | None = None
    check_method: str = ""
    fail_close: Bool = False

    def problems(self) -> Iterator[Problem]:
        yield from exactly_one(self, "policy", "server_url")
        if not self.check_method.startswith("data.") or self.check_method.endswith("."):
            yield Problem("must name a rule, like data.mixerauthz.allow", "checkMethod")


class NoopParams(AdapterParams):
    """Lets pass whatever it is asked, and drops what it is told."""


class KubernetesEnvParams(AdapterParams):
    """Tells what is known of the workloads of a request. The settings are for clusters and change nothing here."""

    kubeconfig_path: str = ""
    cache_refresh_duration: Duration = timedelta(minutes=5)
