"""The stations of the tour: which file is edited, to what, and how traffic must look then."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from answers import JASON, OTHERS, Stars

DEMO: Final = Path(__file__).parent
BOOKINFO: Final = DEMO.parent / "bookinfo"
EVERYBODY: Final = (JASON, OTHERS)
STARS: Final[Mapping[str, Stars]] = {"v1": "none", "v2": "black", "v3": "red"}


@dataclass(frozen=True, slots=True)
class Split:
    """How the requests of some users spread over the versions of reviews; the shares sum to 1."""

    users: tuple[str, ...]
    shares: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done on purpose to the ratings that one user's requests need."""

    kind: Literal["delay", "abort"]
    user: str = JASON
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """One station. `file`, in the mesh's folder, becomes a copy of `source`; None: as it was at the start.

    `requests` is what a tour that nobody watches asks for; it is enough for the bounds of `checks`.
    """

    title: str
    expected: str
    splits: tuple[Split, ...]
    file: str = ""
    source: Path | None = None
    fault: Fault | None = None
    requests: int = 60


_EVERYBODY_V1: Final = (Split(EVERYBODY, {"v1": 1.0}),)
_EVERYBODY_V3: Final = (Split(EVERYBODY, {"v3": 1.0}),)

TOUR: Final = (
    Step("all v1", "no stars for anybody", _EVERYBODY_V1),
    Step(
        "90/10",
        "one page in ten shows black stars",
        (Split(EVERYBODY, {"v1": 0.9, "v2": 0.1}),),
        file="reviews.yaml",
        source=BOOKINFO / "routing" / "virtual-service-reviews-90-10.yaml",
        requests=360,
    ),
    Step(
        "50/50 for jason",
        "jason sees black and red stars in turn, others none",
        (Split((JASON,), {"v2": 0.5, "v3": 0.5}), Split((OTHERS,), {"v1": 1.0})),
        file="reviews.yaml",
        source=DEMO / "routing" / "reviews-jason-v2-v3.yaml",
        requests=360,
    ),
    Step(
        "all v3",
        "red stars for everybody",
        _EVERYBODY_V3,
        file="reviews.yaml",
        source=BOOKINFO / "routing" / "virtual-service-reviews-v3.yaml",
    ),
    Step(
        "ratings late",
        "jason waits 0.4 s longer, others do not",
        _EVERYBODY_V3,
        file="ratings.yaml",
        source=DEMO / "routing" / "ratings-late-for-jason.yaml",
        fault=Fault("delay", seconds=0.4),
    ),
    Step(
        "ratings fail",
        "jason loses the stars, others keep them",
        _EVERYBODY_V3,
        file="ratings.yaml",
        source=BOOKINFO / "routing" / "virtual-service-ratings-test-abort.yaml",
        fault=Fault("abort"),
    ),
    Step("faults removed", "red stars for everybody again", _EVERYBODY_V3, file="ratings.yaml"),
)
