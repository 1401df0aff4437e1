"""What we listen on is free, or held by a running mtabounce."""

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import closing

from mtabounce.config import ListenAddress
from mtabounce.doctor._asking import answer, connect
from mtabounce.doctor._check import Check, Finding, Level, Patient

_TITLE = "ports"
_NAME = b"mtabounce"  # stands in all that it says


def _run(patient: Patient) -> Iterator[Finding]:
    settings = patient.given()
    yield _look("[http] listen", settings.http.listen, _is_our_http)
    for address in settings.receiver.listen:
        yield _look("[receiver] listen", address, _is_our_mail)
    for address in settings.receiver.lmtp_listen:
        yield _look("[receiver] lmtp_listen", address, _is_our_mail)


def _look(key: str, address: ListenAddress, is_ours: Callable[[ListenAddress], bool]) -> Finding:
    name = f"{key} {address}"
    try:
        with closing(connect(address)):
            pass
    except OSError:
        return _bindable(name, address)
    if is_ours(address):
        return Finding(_TITLE, Level.OK, f"{name}: mtabounce runs there")
    return Finding(
        _TITLE,
        Level.FAIL,
        f"{name}: another program listens there",
        f"stop it (ss -ltnp 'sport = :{address.port}' names it), or set another {key}",
    )


def _bindable(name: str, address: ListenAddress) -> Finding:
    """Tell whether *address*, which nobody serves, could be listened on by us."""
    if address.path is not None:
        return _placeable(name, address)
    try:
        for family, *_, where in socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM
        ):
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(where)
    except PermissionError:
        return Finding(
            _TITLE,
            Level.WARN,
            f"{name}: free, but not for the user who runs this",
            "give mtabounce CAP_NET_BIND_SERVICE, or let a systemd socket open the port",
        )
    except OSError as error:
        return _unusable(name, error)
    return Finding(_TITLE, Level.OK, f"{name}: free; no mtabounce runs there")


def _unusable(name: str, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE:
        mend = "see who has it: ss -tan"
        return Finding(_TITLE, Level.FAIL, f"{name}: in use, though nobody answers", mend)
    why = "is no address of this machine" if error.errno == errno.EADDRNOTAVAIL else error.strerror
    return Finding(_TITLE, Level.FAIL, f"{name}: {why}")


def _placeable(name: str, address: ListenAddress) -> Finding:
    folder = address.path.parent if address.path else None
    if folder is None or folder.is_dir():
        return Finding(_TITLE, Level.OK, f"{name}: free; no mtabounce runs there")
    return Finding(
        _TITLE, Level.FAIL, f"{name}: {folder} does not exist", f"run: mkdir -p {folder}"
    )


def _is_our_http(address: ListenAddress) -> bool:
    return _NAME in answer(address, b"GET /healthz HTTP/1.0\r\n\r\n", until=_NAME)


def _is_our_mail(address: ListenAddress) -> bool:
    return _NAME in answer(address, b"", until=_NAME)


CHECK = Check(title=_TITLE, rank=40, run=_run)
