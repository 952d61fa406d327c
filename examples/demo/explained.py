"""What `lateen explain` tells about a call, beside what a step promises. Pure."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from access import Finding
from checks import Problem
from steps import Question

# What `lateen explain` tells.
Explained = Mapping[str, Any]


def explained(question: Question, told: Explained) -> Finding:
    """Judge whether the call is told to go where the step sends it, and because of the step's file."""
    route = told["route"] or {"place": None, "matched": ""}
    at = Path(route["place"]["at"]).name if route["place"] else "nothing"
    shares = ", ".join(f"{branch['subset']} {branch['percent']:.0f}%" for branch in told["split"])
    wanted, seen = f"{question.shares} by {question.file}", f"{shares} by {at.partition(':')[0]}"
    problems = (Problem(f"lateen explain: {wanted}", seen),) if seen != wanted else ()
    facts = (
        f"lateen explain: {question.caller} calls {question.url} with {question.header}: {shares}",
        f"because of {at}, {route['matched']}",
    )
    return Finding(facts, "", problems)
