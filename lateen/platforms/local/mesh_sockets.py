"""Sockets of the mesh namespace in the hands of a process that stays outside it."""

import ctypes
import os
import socket
from collections.abc import Sequence

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000


def open_inside(
    holder_pid: int, kinds: Sequence[socket.SocketKind], address: tuple[str, int], *, rootless: bool
) -> list[socket.socket]:
    """IPv4 sockets of these kinds, bound to `address` in the network namespace of `holder_pid`; raises `OSError`.

    A process cannot leave a user namespace again, so a short-lived child enters, binds, and passes the sockets back.
    """
    ours, childs = socket.socketpair()
    with ours:
        child = os.fork()
        if child == 0:
            _bind_and_pass(childs, holder_pid, kinds, address, rootless)
        childs.close()
        told, descriptors, _, _ = socket.recv_fds(ours, 1, len(kinds))
        os.waitpid(child, 0)
    if not told:
        raise OSError(f"cannot bind {address[0]}:{address[1]} in the mesh namespace")
    return [socket.socket(fileno=descriptor) for descriptor in descriptors]


def _bind_and_pass(
    passing: socket.socket,
    holder_pid: int,
    kinds: Sequence[socket.SocketKind],
    address: tuple[str, int],
    rootless: bool,
) -> None:
    try:
        entries = (("user", _CLONE_NEWUSER),) if rootless else ()
        for name, kind in (*entries, ("net", _CLONE_NEWNET)):
            _enter(f"/proc/{holder_pid}/ns/{name}", kind)
        bound = [_bound(kind, address) for kind in kinds]
        socket.send_fds(passing, [b"."], [each.fileno() for each in bound])
    finally:
        # no cleanup of the parent's may run in the child
        os._exit(0)


def _enter(namespace: str, kind: int) -> None:
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, kind) != 0:
        raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
    os.close(descriptor)


def _bound(kind: socket.SocketKind, address: tuple[str, int]) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(address)
    return made
