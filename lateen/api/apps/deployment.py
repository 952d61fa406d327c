"""Deployment: equal pods that are replaced step by step when the template changes."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from lateen.api.apps.replicas import Replicas
from lateen.api.fields import Bool, Ignored, IntOrString
from lateen.api.structs import Struct


class StrategyType(StrEnum):
    """Whether old pods go before the new ones come."""

    ROLLING_UPDATE = "RollingUpdate"
    RECREATE = "Recreate"


class RollingUpdate(Struct):
    """How many pods may be missing or too many during an update, as a number or a percentage like `25%`."""

    max_unavailable: IntOrString = "25%"
    max_surge: IntOrString = "25%"


class Strategy(Struct):
    """How pods are replaced."""

    type: StrategyType = StrategyType.ROLLING_UPDATE
    rolling_update: RollingUpdate | None = None


class Deployment(Replicas):
    """Equal pods, and how a change reaches them."""

    strategy: Strategy = Field(default_factory=Strategy)
    paused: Bool = False
    progress_deadline_seconds: Annotated[int, Field(strict=True, ge=0)] = 600
    revision_history_limit: Ignored = None
