"""The stations of the tour: which file is edited, to what, and how traffic must look then."""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
class Call:
    """A call made by hand from a workload: the status that must come of it, 0 for a connection that is reset.

    `refused_by` is the file of the mesh's folder that is the reason.
    """

    caller: str
    service: str
    path: str
    status: int
    refused_by: str


@dataclass(frozen=True, slots=True)
class Hurry:
    """Calls made by hand from a workload, as fast as they go: so many pass, all others are refused with status 429."""

    caller: str
    service: str
    path: str
    calls: int
    passed: int


@dataclass(frozen=True, slots=True)
class Question:
    """What `lateen explain` is asked: it must tell these shares of the versions, and this file as the reason."""

    caller: str
    url: str
    header: str
    shares: str
    file: str


@dataclass(frozen=True, slots=True)
class Step:
    """One station. `file`, in the mesh's folder, becomes a copy of `source`; None: as it was at the start.

    `requests` is what a tour that nobody watches asks for; it is enough for the bounds of `checks`. `callers` are the
    services that must have an identity, with those that they call; `call` is made while the edit is live, and where
    `is_taken_back`, once more when it is not any longer. So are the calls of `hurry`. `question` is
    answered before traffic is counted. `ways`, from workloads to the services that they call, are those that the mesh's
    metrics must tell, with the calls on each for one of our requests.
    """

    title: str
    expected: str
    splits: tuple[Split, ...]
    file: str = ""
    source: Path | None = None
    fault: Fault | None = None
    requests: int = 60
    kind: str = "VirtualService"
    callers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    call: Call | None = None
    is_taken_back: bool = False
    hurry: Hurry | None = None
    question: Question | None = None
    ways: Mapping[tuple[str, str], float] = field(default_factory=dict)


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
        question=Question("productpage", "http://reviews:9080/", "end-user:jason", "v2 50%, v3 50%", "reviews.yaml"),
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
    Step(
        "live table",
        "the mesh's own metrics tell who calls whom, all by mutual TLS",
        _EVERYBODY_V3,
        # Every other request is for the page, which shows details, all others for the reviews alone.
        ways={
            ("istio-ingressgateway", "productpage"): 1.0,
            ("productpage-v1", "details"): 0.5,
            ("productpage-v1", "reviews"): 1.0,
            ("reviews-v3", "ratings"): 1.0,
        },
    ),
    Step(
        "identities",
        "all calls by accounts with mutual TLS, no plaintext",
        _EVERYBODY_V3,
        callers={
            "istio-ingressgateway": ("productpage",),
            "productpage": ("details", "reviews"),
            "reviews": ("ratings",),
        },
        call=Call("pod/stranger", "ratings", "/ratings/0", 0, "peer-authentication.yaml"),
    ),
    Step(
        "policy denies",
        "only reviews may read ratings; productpage gets 403",
        _EVERYBODY_V3,
        file="ratings-viewer.yaml",
        kind="AuthorizationPolicy",
        source=BOOKINFO / "security" / "authorization-policy-ratings-viewer.yaml",
        call=Call("deploy/productpage-v1", "ratings", "/ratings/0", 403, "ratings-viewer.yaml"),
        is_taken_back=True,
    ),
    Step(
        "rate limit",
        "productpage reads ratings 3 times a minute, reviews at will",
        _EVERYBODY_V3,
        file="ratings-limit.yaml",
        kind="RateLimit",
        source=BOOKINFO / "limits" / "rate-limit-ratings.yaml",
        hurry=Hurry("deploy/productpage-v1", "ratings", "/ratings/0", calls=10, passed=3),
        is_taken_back=True,
    ),
)
