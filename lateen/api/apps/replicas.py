"""What the kinds that multiply pods have in common."""

from collections.abc import Iterator

from lateen.api.core.label_selector import LabelSelector
from lateen.api.core.pod import PodTemplate
from lateen.api.fields import Count
from lateen.api.structs import Checked, Problem


class Replicas(Checked):
    """So many pods of one template, told from others by their labels."""

    replicas: Count = 1
    selector: LabelSelector
    template: PodTemplate
    min_ready_seconds: Count = 0

    def problems(self) -> Iterator[Problem]:
        if self.selector == LabelSelector():
            yield Problem("must have at least one label", "selector.matchLabels")
        elif not self.selector.matches(self.template.metadata.labels):
            yield Problem("must have the labels that selector asks for", "template.metadata.labels")
        for problem in self.template.spec.mount_problems(self.claim_names):
            yield Problem(problem.message, f"template.spec.{problem.field}")

    @property
    def claim_names(self) -> tuple[str, ...]:
        """The volumes that each pod gets beside those of the template."""
        return ()
