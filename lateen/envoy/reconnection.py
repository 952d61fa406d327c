"""How soon a proxy comes back to what has gone away on its own machine."""

from datetime import timedelta
from typing import Final

SHORTEST: Final = timedelta(milliseconds=100)
LONGEST: Final = timedelta(seconds=1)
"""What is near is found at once: Envoy's own pauses grow to half a minute, and could outlast a certificate."""
