"""Parameters of the adapters that count: memquota and redisquota."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from lateen.api.fields import EMPTY_MAP, Count, Duration, NonEmpty, Positive, PositiveDuration, StringMap
from lateen.api.mixer.structs import AdapterParams, MixerStruct, NumberedEnum
from lateen.api.structs import Problem


class MemoryOverride(MixerStruct):
    """Another amount for requests with these dimensions; the first override that fits counts."""

    dimensions: StringMap = EMPTY_MAP
    max_amount: Count
    valid_duration: Duration | None = None


class MemoryQuota(MixerStruct):
    """How much may be had in which time; without a duration it is held until it is given back."""

    name: NonEmpty
    max_amount: Count
    valid_duration: Duration = timedelta()
    overrides: tuple[MemoryOverride, ...] = ()


class MemQuotaParams(AdapterParams):
    """Quotas that are counted in memory."""

    quotas: tuple[MemoryQuota, ...] = ()
    min_deduplication_duration: PositiveDuration = timedelta(seconds=1)

    def problems(self) -> Iterator[Problem]:
        yield from unique_names(quota.name for quota in self.quotas)


class RateLimitAlgorithm(NumberedEnum):
    """Whether a window begins anew at fixed times, or always ends now."""

    FIXED_WINDOW = "FIXED_WINDOW"
    ROLLING_WINDOW = "ROLLING_WINDOW"


class RedisOverride(MixerStruct):
    """Another amount for requests with these dimensions; the first override that fits counts."""

    dimensions: StringMap = EMPTY_MAP
    max_amount: Positive


class RedisQuota(MixerStruct):
    """How much may be had in a window of `validDuration`; a rolling window moves on by `bucketDuration`."""

    name: NonEmpty
    max_amount: Positive
    valid_duration: PositiveDuration
    bucket_duration: Duration = timedelta()
    rate_limit_algorithm: RateLimitAlgorithm = RateLimitAlgorithm.FIXED_WINDOW
    overrides: tuple[RedisOverride, ...] = ()

    def problems(self) -> Iterator[Problem]:
        is_rolling = self.rate_limit_algorithm is RateLimitAlgorithm.ROLLING_WINDOW
        if is_rolling and not timedelta() < self.bucket_duration < self.valid_duration:
            yield Problem("must be longer than 0 and shorter than validDuration", "bucketDuration")
        for position, override in enumerate(self.overrides):
            if not override.dimensions:
                yield Problem("must name at least one dimension", f"overrides[{position}].dimensions")


class RedisQuotaParams(AdapterParams):
    """Quotas that all proxies share, counted in Redis."""

    quotas: tuple[RedisQuota, ...] = ()
    redis_server_url: NonEmpty
    connection_pool_size: Positive = 10

    def problems(self) -> Iterator[Problem]:
        yield from unique_names(quota.name for quota in self.quotas)


def unique_names(names: Iterable[str]) -> Iterator[Problem]:
    """Yield a problem for each quota that an earlier one has the name of."""
    known: set[str] = set()
    for position, name in enumerate(names):
        if name in known:
            yield Problem(f"must be another name than that of an earlier quota: {name}", f"quotas[{position}].name")
        known.add(name)
