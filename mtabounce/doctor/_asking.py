"""How checks ask what listens somewhere."""

import socket
import ssl
from contextlib import closing

from mtabounce.config import ListenAddress

_PATIENCE = 2.0  # seconds for a server on this host to answer
_LARGEST = 64 * 1024  # bytes of an answer


def connect(address: ListenAddress) -> socket.socket:
    """Return a connection to *address*, which may be one to listen on. Raises OSError."""
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


def answer(
    address: ListenAddress, question: bytes, *, until: bytes = b"", is_tls: bool = False
) -> bytes:
    """Return what is said to *question*, up to its end or *until*; b"" where nothing is said."""
    said = b""
    try:
        with closing(_connection(address, is_tls=is_tls)) as connection:
            connection.sendall(question)
            while not (until and until in said) and len(said) < _LARGEST:
                received = connection.recv(4096)
                if not received:
                    break
                said += received
    except OSError:
        pass  # silence is an answer, too
    return said


def _connection(address: ListenAddress, *, is_tls: bool) -> socket.socket:
    connection = connect(address)
    if not is_tls:
        return connection
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it is this machine
    return context.wrap_socket(connection)
