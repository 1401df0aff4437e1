"""What we listen on is free, or held by a running mtabounce."""

import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import closing

from mtabounce.config import ListenAddress
from mtabounce.doctor._check import Check, Finding, Level, Patient

_TITLE = "ports"
_PATIENCE = 2.0  # seconds for a server on this host to answer


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
        with closing(_connect(address)):
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
            "run mtabounce with CAP_NET_BIND_SERVICE or by a systemd socket",
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


def _connect(address: ListenAddress) -> socket.socket:
    if address.path is None:
        where = (address.local_host, address.port)
        return socket.create_connection(where, timeout=_PATIENCE)
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    unix.settimeout(_PATIENCE)
    try:
        unix.connect(str(address.path))
    except OSError:
        unix.close()
        raise
    return unix


def _is_our_http(address: ListenAddress) -> bool:
    return b"mtabounce" in _answer(address, b"GET /healthz HTTP/1.0\r\n\r\n")


def _is_our_mail(address: ListenAddress) -> bool:
    return b"mtabounce" in _answer(address, b"")


def _answer(address: ListenAddress, question: bytes) -> bytes:
    answer = b""
    try:
        with closing(_connect(address)) as connection:
            connection.sendall(question)
            while b"mtabounce" not in answer and len(answer) < 4096:
                received = connection.recv(4096)
                if not received:
                    break
                answer += received
    except OSError:
        pass  # silence is an answer, too
    return answer


CHECK = Check(title=_TITLE, rank=40, run=_run)
