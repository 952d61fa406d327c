"""What the control loop and the pushes measure of themselves, under istiod's names where they mean the same."""

from typing import Final

from lateen.telemetry.instruments import Counter, Histogram, Instrument

_SIZES: Final = (1.0, 10_000.0, 1_000_000.0, 4_000_000.0, 10_000_000.0, 40_000_000.0)
_WAITS: Final = (0.01, 0.1, 0.5, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0)
_CONVERGENCE: Final = (0.1, 0.5, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0)


class PushMeters:
    """What is sent to proxies, and how soon they have it."""

    def __init__(self) -> None:
        self.pushes = Counter("pilot_xds_pushes", "Responses that were sent to proxies, by type.", "type")
        self.refusals = Counter("pilot_total_xds_rejects", "Responses that proxies refused, by type.", "type")
        self.size = Histogram(
            "pilot_xds_config_size_bytes",
            "What the resources of a response take on the wire, by type.",
            "type",
            bounds=_SIZES,
        )
        self.convergence = Histogram(
            "pilot_proxy_convergence_time",
            "Seconds from the first response of a change to a proxy until it has acknowledged all of it.",
            bounds=_CONVERGENCE,
        )

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """All of them."""
        return (self.pushes, self.refusals, self.size, self.convergence)


class LoopMeters:
    """What comes in, and how it is bundled into pushes."""

    def __init__(self) -> None:
        self.updates = Counter("pilot_inbound_updates", "Changes that came in, by what they are about.", "type")
        self.triggers = Counter("pilot_push_triggers", "Pushes, by what made them necessary.", "type")
        self.debounce = Histogram(
            "pilot_debounce_time", "Seconds from the first change of a bundle to its push.", bounds=_WAITS
        )
        self.push = Histogram(
            "lateen_push_duration_seconds",
            "Seconds that it takes to make a new state of the mesh and to offer it to the proxies.",
        )

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """All of them."""
        return (self.updates, self.triggers, self.debounce, self.push)


class RegistrationMeters:
    """How members of WorkloadGroups come and go."""

    def __init__(self) -> None:
        self.registered = Counter("auto_registration_success_total", "WorkloadEntries that were made for members.")
        self.returned = Counter(
            "auto_registration_updates_total", "Proxies of members that connected while an entry stood for them."
        )
        self.parted = Counter("auto_registration_unregister_total", "Members whose proxy or pod has gone.")
        self.dropped = Counter("auto_registration_deletes_total", "WorkloadEntries that went after their grace.")

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """All of them."""
        return (self.registered, self.returned, self.parted, self.dropped)
