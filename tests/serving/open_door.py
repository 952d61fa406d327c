"""A door that lets all proxies in, all of one class."""

from lateen.errors import NotPermitted
from lateen.manager.ports import NodeIdentity
from lateen.manager.pushes import Connection, Outlet, Pushes
from lateen.model.workload import WorkloadKey

CLASS = "all"


class OpenDoor:
    """Lets everybody in but `stranger`."""

    def __init__(self, pushes: Pushes) -> None:
        self._pushes = pushes

    def connect(self, node: NodeIdentity, outlet: Outlet, peer: WorkloadKey | None = None) -> Connection:
        if node.id == "stranger":
            raise NotPermitted("proxy stranger is not of this mesh")
        connection = self._pushes.connect(node.id, outlet)
        self._pushes.place(connection, CLASS)
        return connection

    def disconnect(self, connection: Connection) -> None:
        self._pushes.disconnect(connection)
