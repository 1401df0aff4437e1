"""
The thin half of ``mtabounce pipe``: hands one mail to the daemon, and waits for its COMMIT.

It starts for each bounce, so it imports as little as it can; it speaks LMTP (RFC 2033) to a Unix
socket of the daemon, in the state directory.
"""

import os
import sys
from _socket import AF_UNIX, SOCK_STREAM, socket  # socket.py costs 5 ms
from collections.abc import Iterator

NAME = "pipe.sock"  # in the state directory
NOBODY = "nobody@pipe.invalid"  # stands for an address that is not known, or is odd
LARGEST = 64 * 2**20  # bytes that are read; what is larger can be no bounce
_ODD = -1  # no exit status
PATIENCE = 45.0  # seconds for each step; the daemon itself gives up sooner
SYSTEM_DIRECTORY = "/var/lib/mtabounce"
_PLACES = ("mtabounce.toml", "/etc/mtabounce/mtabounce.toml")
_FORBIDDEN = frozenset("<>\x7f").union(map(chr, range(33)))  # in a path within an LMTP command


class Task:
    """One mail with its envelope, and what the command line said besides."""

    def __init__(self) -> None:
        self.config = os.environ.get("MTABOUNCE_CONFIG", "")
        self.socket = ""
        self.sender: str | None = None  # None: not known; "": the null sender
        self.recipients: list[str] = []
        self.content = b""


def parse(words: list[str]) -> Task:
    """
    Read the command line, the environment and standard input.

    Raises ValueError for an unknown option, an empty mail, or one above LARGEST.
    """
    task, is_named = Task(), False
    rest = iter(words)
    for word in rest:
        name, _, value = word.partition("=")
        if word == "--":
            task.recipients += rest
        elif name in ("--config", "--socket", "--sender", "-f"):
            _set(task, name, value if "=" in word else next(rest, ""))
        elif word.startswith("-"):
            raise ValueError(f"there is no option {word}")
        elif word == "pipe" and not is_named:
            is_named = True
        else:
            task.recipients.append(word)
    task.content = _read()
    _complete(task)
    return task


def _set(task: Task, name: str, value: str) -> None:
    if name == "--config":
        task.config = value
    elif name == "--socket":
        task.socket = value
    else:
        task.sender = value


def _read() -> bytes:
    chunks, size = [], 0
    while chunk := os.read(0, 2**20):
        chunks.append(chunk)
        size += len(chunk)
        if size > LARGEST:
            raise ValueError("the mail is too large")
    if not size:
        raise ValueError("there is no mail on standard input")
    return b"".join(chunks)


def _complete(task: Task) -> None:
    """Take what the command line leaves out from the environment, and from an mbox ``From ``."""
    if task.sender is None:
        task.sender = os.environ.get("SENDER")
    line = task.content[:1000].partition(b"\n")[0]
    if task.sender is None and line.startswith(b"From "):
        task.sender = line[5:].decode("utf-8", "replace").partition(" ")[0]
    if task.sender is not None:
        task.sender = task.sender.strip().removeprefix("<").removesuffix(">")
        if task.sender.upper() == "MAILER-DAEMON":  # Postfix's pipe(8) and Exim's From line
            task.sender = ""
    given = task.recipients or [os.environ.get("RECIPIENT", "")]
    task.recipients = [one.strip().removeprefix("<").removesuffix(">") for one in given]
    task.recipients = [one for one in task.recipients if one]


def hand_over(task: Task) -> int | None:
    """
    Return 0 once the daemon has committed the mail, None where it takes none now.

    Returns EX_DATAERR where it is too large for ever. Raises OSError where it is not known
    whether it was committed, or the daemon asks to try again.
    """
    sender, recipients = _path(task.sender), [_path(one) for one in task.recipients] or [NOBODY]
    status = _offer(task, sender, recipients)
    return _offer(task, NOBODY, [NOBODY]) if status == _ODD else status


def _offer(task: Task, sender: str, recipients: list[str]) -> int | None:
    """Do as hand_over() with this envelope; return _ODD where no mail has such a one."""
    line = socket(AF_UNIX, SOCK_STREAM)
    line.settimeout(PATIENCE)
    try:
        line.connect(find_socket(task))
        replies = _replies(line)
        line.sendall(_envelope(sender, recipients))
        said = [next(replies) for _ in range(4 + len(recipients))]  # greeting, LHLO, MAIL, …, DATA
    except (OSError, StopIteration):
        return None
    digits = [reply[:1] for reply in said]
    if digits != ["2"] * (3 + len(recipients)) + ["3"]:
        return _ODD if "5" in digits[2:-1] else None
    line.sendall(_stuffed(task.content))
    return _verdict([next(replies, "") for _ in recipients])


def _verdict(said: list[str]) -> int:
    if all(reply.startswith("2") for reply in said):
        return os.EX_OK
    if all(reply.startswith("552") for reply in said):
        sys.stderr.write(f"mtabounce pipe: {said[0]}\n")
        return os.EX_DATAERR
    raise OSError(f"mtabounce said: {said[0]}" if said[0] else "mtabounce went away")


def _path(address: str | None) -> str:
    """Return *address* as it stands in a command; the mail counts, whatever its envelope was."""
    return address if address is not None and _FORBIDDEN.isdisjoint(address) else NOBODY


def _envelope(sender: str, recipients: list[str]) -> bytes:
    paths = "".join(f"RCPT TO:<{one}>\r\n" for one in recipients)
    text = f"LHLO localhost\r\nMAIL FROM:<{sender}>\r\n{paths}DATA\r\n"
    return text.encode("utf-8", "surrogateescape")


def _stuffed(content: bytes) -> bytes:
    """Return *content* as it follows DATA. Line ends stay as they are: only a CRLF counts."""
    content = content.replace(b"\r\n.", b"\r\n..")
    if content.startswith(b"."):
        content = b"." + content
    return content + (b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n")


def _replies(line: socket) -> Iterator[str]:
    """Yield the last line of each reply."""
    held = b""
    while chunk := line.recv(4096):
        *lines, held = (held + chunk).split(b"\n")
        yield from (one.decode("utf-8", "replace").strip() for one in lines if one[3:4] != b"-")


def find_socket(task: Task) -> str:
    """Return the path of the daemon's socket, as the options, environment and file say."""
    given = task.socket or os.environ.get("MTABOUNCE_PIPE__SOCKET")
    if given:
        return given
    told, folder = _configuration(task.config)
    if named := told.get("pipe", {}).get("socket"):
        return _join(folder, named)
    directory = os.environ.get("MTABOUNCE_STATE__DIRECTORY") or _join(
        folder, told.get("state", {}).get("directory") or default_directory()
    )
    return _join(directory, NAME)


def _join(folder: str, path: str) -> str:
    return os.path.join(folder, os.path.expanduser(path))  # noqa: PTH111, PTH118 (pathlib: 10 ms)


def default_directory() -> str:
    """Return the state directory where nothing says another: as store/state.py does."""
    if given := os.environ.get("STATE_DIRECTORY"):
        return given.split(":")[0]
    if os.geteuid() == 0 or _is_own(SYSTEM_DIRECTORY):
        return SYSTEM_DIRECTORY
    named = os.environ.get("XDG_STATE_HOME", "")
    home = named if named.startswith("/") else os.path.expanduser("~/.local/state")  # noqa: PTH111
    return f"{home}/mtabounce"


def _is_own(directory: str) -> bool:
    try:
        return os.stat(directory).st_uid == os.geteuid()  # noqa: PTH116
    except OSError:
        return False


def _configuration(path: str) -> tuple[dict[str, dict[str, str]], str]:
    """Return the tables of the configuration, none where it cannot be read; and its folder."""
    path = path or next((one for one in _PLACES if os.path.exists(one)), "")  # noqa: PTH110
    if not path:
        return {}, ""
    import tomllib

    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return tomllib.load(file), os.path.dirname(os.path.abspath(path))  # noqa: PTH100, PTH120
    except (OSError, ValueError):
        return {}, ""
