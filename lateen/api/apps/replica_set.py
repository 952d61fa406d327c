"""ReplicaSet: equal pods without a way to roll out new ones."""

from lateen.api.apps.replicas import Replicas


class ReplicaSet(Replicas):
    """So many equal pods."""
