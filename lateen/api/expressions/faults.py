"""What is wrong with an expression, and where in its text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExpressionFault:
    """A fault at a position (from 0) of the text of an expression, in the words of who has to repair it."""

    message: str
    position: int = 0

    def __str__(self) -> str:
        return f"{self.message} (at character {self.position + 1})"


class BadExpression(ValueError):
    """A text is no expression of its language; `fault` says why."""

    def __init__(self, message: str, position: int) -> None:
        self.fault = ExpressionFault(message, position)
        super().__init__(str(self.fault))
