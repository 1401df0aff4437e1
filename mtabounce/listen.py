"""Sockets to listen on: those of the configuration, or those that systemd hands over."""

import errno
import os
import socket
import stat
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from mtabounce.config import ListenAddress
from mtabounce.errors import Occupied

_FIRST_FD = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)
_WHY = {
    errno.EADDRINUSE: "is in use by another program: stop that one, or choose another address",
    errno.EACCES: "may not be opened: that takes root, CAP_NET_BIND_SERVICE or a systemd socket",
    errno.EADDRNOTAVAIL: "is no address of this machine",
    errno.ENOENT: "lies in a folder that does not exist",
}


def is_local(address: ListenAddress) -> bool:
    """Return whether only programs of this machine can reach *address*."""
    if address.path is not None:
        return True
    try:
        return ip_address(address.host).is_loopback
    except ValueError:
        return address.host == "localhost"


def open_sockets(key: str, addresses: Iterable[ListenAddress], mode: int) -> list[socket.socket]:
    """
    Bind a socket to each of *addresses*, the value of the setting *key*, such as "[http] listen".

    *mode* is the permissions of Unix sockets. Raises Occupied where one cannot be had; then
    none stays open.
    """
    bound: list[socket.socket] = []
    for address in addresses:
        try:
            _bind(address, mode, bound)
            for sock in bound:
                sock.listen()  # only now it is sure that nobody else does
        except OSError as error:
            for sock in bound:
                sock.close()
            why = _WHY.get(error.errno or 0, f"cannot be opened: {error.strerror or error}")
            raise Occupied(f"{key}: {address} {why}") from error
    return bound


def activated_sockets(name: str) -> list[socket.socket]:
    """Return the sockets that systemd passed as *name* (its FileDescriptorName=), if any."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    found = []
    for number, given in enumerate(names[: int(os.environ.get("LISTEN_FDS", "0"))]):
        os.set_inheritable(_FIRST_FD + number, False)  # no business of the processes we start
        if given == name:
            # A copy, so that closing it leaves systemd's own for a second start.
            found.append(socket.socket(fileno=os.dup(_FIRST_FD + number)))
    return found


def address_of(sock: socket.socket) -> ListenAddress:
    """Return what *sock* is bound to."""
    bound = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        return ListenAddress(path=Path(os.fsdecode(bound)))
    return ListenAddress(host=bound[0], port=bound[1])


def _bind(address: ListenAddress, mode: int, bound: list[socket.socket]) -> None:
    """Add to *bound* a socket for each IP address of *address*, or one for its path."""
    if address.path is not None:
        _remove_stale(address.path)
        bound.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        bound[-1].bind(str(address.path))
        address.path.chmod(mode)
        return
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    for family, *_, where in dict.fromkeys(found):
        bound.append(socket.socket(family, socket.SOCK_STREAM))
        bound[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound[-1].setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound[-1].bind(where)


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on: a killed process left it."""
    if not path.exists() or not stat.S_ISSOCK(path.stat().st_mode):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == errno.ECONNREFUSED:
            path.unlink()
