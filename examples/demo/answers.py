"""What one answer of the product page tells about the mesh behind it."""

import re
from dataclasses import dataclass
from typing import Final, Literal

JASON: Final = "jason"
OTHERS: Final = ""

Stars = Literal["none", "black", "red", "missing"]

_VERSION: Final = re.compile(r"\breviews-(v\d+)-")
# The page draws stars, the API names their color; both say so in words when the ratings did not come.
_RED: Final = re.compile(r'class="stars red"|"color":"red"')
_BLACK: Final = re.compile(r'class="stars black"|"color":"black"')
_MISSING: Final = re.compile(r"Ratings service is currently unavailable")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: who asked, which version of reviews was behind it, and what stars it showed.

    `status` is 0 where no answer came; `version` is empty where no reviews did.
    """

    user: str
    status: int
    version: str
    stars: Stars
    seconds: float

    @property
    def is_good(self) -> bool:
        """Whether the page came, with reviews on it."""
        return self.status == 200 and self.version != ""


def read(user: str, status: int, body: str, seconds: float) -> Answer:
    """Read an answer, be it the page or the API's JSON."""
    version = _VERSION.search(body)
    return Answer(user, status, version[1] if version else "", _stars(body), seconds)


def _stars(body: str) -> Stars:
    if _MISSING.search(body):
        return "missing"
    if _RED.search(body):
        return "red"
    return "black" if _BLACK.search(body) else "none"
