"""ServiceAccount: the name that a workload's identity is made of."""

from lateen.api.fields import Ignored
from lateen.api.structs import Struct


class ServiceAccount(Struct):
    """An account; its name and namespace are all that the mesh reads."""

    secrets: Ignored = None
    image_pull_secrets: Ignored = None
    automount_service_account_token: Ignored = None
