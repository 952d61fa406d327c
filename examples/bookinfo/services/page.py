"""Draws the product page: one HTML document with its style inside, which needs nothing from anywhere."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

MOST_STARS = 5
STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")

ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath fill='%23c2683b' "
    "d='M2 3c2-1 4-1 6 0v11c-2-1-4-1-6 0zM14 3c-2-1-4-1-6 0v11c2-1 4-1 6 0z'/%3E%3C/svg%3E"
)

FACTS = (
    ("Author", "author"),
    ("Year", "year"),
    ("Type", "type"),
    ("Pages", "pages"),
    ("Publisher", "publisher"),
    ("Language", "language"),
    ("ISBN-10", "ISBN-10"),
    ("ISBN-13", "ISBN-13"),
)


@dataclass(frozen=True)
class Fetched:
    """What a service said, or `{"error": …}` when it failed; after how long, and which pod it was."""

    status: int
    document: dict[str, Any]
    seconds: float
    pod: str = ""
    version: str = ""

    @property
    def failed(self) -> bool:
        """Whether the document is an error."""
        return self.status != 200


def productpage(
    *, product: dict[str, Any], user: str, details: Fetched, reviews: Fetched, pod: str, version: str
) -> str:
    """The whole page. Everything is escaped but the product's `descriptionHtml`, which is ours."""
    title = escape(product["title"])
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · Bookinfo</title>
<link rel="icon" href="{ICON}">
<style>{STYLE}</style>
</head>
<body>
<header class="bar">
<a class="brand" href="/productpage">Bookinfo</a>
{_session(user)}
</header>
<main>
<section class="hero">
<div class="cover" aria-hidden="true"><span>{title}</span></div>
<div>
<h1>{title}</h1>
<p class="summary">{product["descriptionHtml"]}</p>
</div>
</section>
<div class="columns">
{_details(details)}
{_reviews(reviews)}
</div>
</main>
<footer>Page by <code>{escape(pod)}</code> · {escape(version)}</footer>
</body>
</html>
"""


def _session(user: str) -> str:
    if user:
        return (
            f'<div class="session"><span>Signed in as <strong>{escape(user)}</strong></span>'
            '<a class="button quiet" href="/logout">Sign out</a></div>'
        )
    return (
        '<form class="session" method="post" action="/login">'
        '<input name="username" placeholder="User name" aria-label="User name" required maxlength="64" '
        'pattern="[A-Za-z0-9._@\\-]+" autocomplete="username">'
        '<input name="passwd" type="password" placeholder="Any password" aria-label="Password" '
        'autocomplete="off"><button class="button">Sign in</button></form>'
    )


def _details(details: Fetched) -> str:
    if details.failed:
        body = _failure("Error fetching product details!", details)
    else:
        facts = "".join(
            f"<div><dt>{label}</dt><dd>{escape(str(details.document.get(key, '—')))}</dd></div>" for label, key in FACTS
        )
        body = f'<dl class="facts">{facts}</dl>'
    return f'<section class="card"><h2>Book details</h2>{body}{_provenance(details)}</section>'


def _reviews(reviews: Fetched) -> str:
    if reviews.failed:
        body = _failure("Error fetching product reviews!", reviews)
    else:
        body = "".join(_review(review) for review in reviews.document.get("reviews", ()))
    return f'<section class="card"><h2>Book reviews</h2>{body}{_provenance(reviews)}</section>'


def _review(review: dict[str, Any]) -> str:
    text, reviewer = escape(str(review.get("text", ""))), escape(str(review.get("reviewer", "")))
    rating = _rating(review["rating"]) if "rating" in review else ""
    return f'<blockquote><p>{text}</p><div class="by"><cite>{reviewer}</cite>{rating}</div></blockquote>'


def _rating(rating: dict[str, Any]) -> str:
    if "stars" not in rating:
        return f'<span class="unrated">{escape(str(rating.get("error", "no rating")))}</span>'
    stars = max(0, min(MOST_STARS, int(rating["stars"])))
    color = "red" if rating.get("color") == "red" else "black"
    drawn = f'{"★" * stars}<span class="missing">{"★" * (MOST_STARS - stars)}</span>'
    return f'<span class="stars {color}" role="img" aria-label="{stars} of {MOST_STARS} stars">{drawn}</span>'


def _failure(title: str, fetched: Fetched) -> str:
    message = escape(str(fetched.document.get("error", "")))
    return (
        f'<div class="failure" role="alert"><strong>{title}</strong><p>{message}</p>'
        f"<p><code>status {fetched.status}</code></p></div>"
    )


def _provenance(fetched: Fetched) -> str:
    source = f"<code>{escape(fetched.pod)}</code> · {escape(fetched.version)} · " if fetched.pod else ""
    return f'<p class="provenance">{source}{_duration(fetched.seconds)}</p>'


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
