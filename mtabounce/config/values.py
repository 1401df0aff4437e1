"""The kinds of values that settings share: how each is written, read and shown."""

import os
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo
from pydantic_core import CoreSchema, core_schema

_SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:\d{1,15}(?:ms|[wdhms]))+")
_BYTES = {
    "GiB": 2**30,
    "GB": 10**9,
    "MiB": 2**20,
    "MB": 10**6,
    "KiB": 2**10,
    "KB": 10**3,
    "B": 1,
}
_SIZE = re.compile(r"(\d{1,15}) ?(GiB|GB|MiB|MB|KiB|KB|B|)")
_HOST_AND_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]+(?:%\w+)?)\]|([\w.-]+)):(\d{1,5})", re.ASCII)
_UNIX_PATH_MAX = 107  # octets that fit into sockaddr_un beside the final NUL
_SECRET_MAX = 64 * 1024  # octets; a longer file was named by mistake
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (to connect, not to listen)


class Section(BaseModel):
    """What every settings class is: unknown keys are refused, and values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


@dataclass(frozen=True, slots=True)
class Words:
    """How messages and documents name a kind of value, and how they write one."""

    kind: str
    write: Callable[[Any], str] | None = None  # None: as TOML writes it


def quoted(text: str) -> str:
    """Return *text* as TOML writes it, on one line."""
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{printable(inner)}"'


def printable(text: str) -> str:
    """Return *text* with its control characters escaped: it stays on its line."""
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04X}" if code < 0x10000 else f"\\U{code:08X}"


def parse_duration(value: object) -> timedelta:
    """Return the span that *value* ("90s", "5m", "1h30m") says. Raises ValueError if none."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise ValueError(f'expected a duration such as "90s", "5m" or "30d", found {found(value)}')
    try:
        return sum(
            (
                timedelta(milliseconds=int(count))
                if unit == "ms"
                else timedelta(seconds=int(count) * _SECONDS[unit])
                for count, unit in re.findall(r"(\d+)(ms|[wdhms])", value)
            ),
            timedelta(),
        )
    except OverflowError:
        raise ValueError(f"{quoted(value)} is longer than can be counted") from None


def write_duration(span: timedelta) -> str:
    """Return *span* in the largest unit that counts it exactly: "5m", "90s", "30d"."""
    milliseconds = span // timedelta(milliseconds=1)
    if milliseconds % 1000:
        return f"{milliseconds}ms"
    seconds = milliseconds // 1000
    for unit in ("d", "h", "m"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds // _SECONDS[unit]}{unit}"
    return f"{seconds}s"


def parse_size(value: object) -> int:
    """Return the octets that *value* (512, "10MB", "10MiB") says. Raises ValueError if none."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
        return int(match[1]) * _BYTES[match[2] or "B"]
    raise ValueError(f'expected a size such as "10MB", "64KiB" or 512, found {found(value)}')


def write_size(octets: int) -> str:
    """Return *octets* in the largest unit that counts it exactly: "10MB", "64KiB", "512B"."""
    for unit, factor in _BYTES.items():
        if octets and octets % factor == 0:
            return f"{octets // factor}{unit}"
    return f"{octets}B"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    Words("duration", lambda v: quoted(write_duration(v))),
]
Size = Annotated[int, BeforeValidator(parse_size), Words("size", lambda v: quoted(write_size(v)))]


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """Where to listen: a TCP address, or the path of a Unix socket."""

    host: str = ""  # "" for a Unix socket; an IPv6 address has no brackets here
    port: int = 0  # 0 lets the system choose one
    path: Path | None = None  # None for TCP

    @classmethod
    def parse(cls, value: object) -> Self:
        """Read "127.0.0.1:25", "[::1]:25" or "/run/x.sock". Raises ValueError for all else."""
        if isinstance(value, cls):
            return value
        if isinstance(value, str) and value.startswith("/"):
            return cls(path=_socket_path(value))
        match = _HOST_AND_PORT.fullmatch(value) if isinstance(value, str) else None
        if match is None or int(match[3]) > 0xFFFF:
            raise ValueError(
                'expected an address such as "127.0.0.1:25", "[::1]:25" or "/run/name.sock", '
                f"found {found(value)}"
            )
        return cls(host=match[1] or match[2], port=int(match[3]))

    @property
    def local_host(self) -> str:
        """The host by which this machine reaches it, also where it listens on all addresses."""
        return _LOOPBACK.get(self.host, self.host)

    def __str__(self) -> str:
        if self.path is not None:
            return str(self.path)
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> CoreSchema:
        """Tell pydantic that text is read with `parse` and written with `str`."""
        del source, handler
        return core_schema.no_info_plain_validator_function(
            cls.parse, serialization=core_schema.to_string_ser_schema()
        )


def _socket_path(text: str) -> Path:
    if "\0" in text or len(os.fsencode(text)) > _UNIX_PATH_MAX:
        raise ValueError(
            f"a Unix socket's path has at most {_UNIX_PATH_MAX} octets: {quoted(text)}"
        )
    return Path(text)


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A secret that stands in a file of its own. Its text is in no repr and no message."""

    path: Path
    _secret: str = field(repr=False)

    def get_secret_value(self) -> str:
        """Return the secret, without the newline at the file's end."""
        return self._secret

    def __str__(self) -> str:
        return str(self.path)

    @classmethod
    def read(cls, path: Path, environ: Mapping[str, str] = os.environ) -> Self:
        """
        Read the secret in *path*.

        Files in systemd's $CREDENTIALS_DIRECTORY are guarded by systemd, whatever their mode.
        Raises ValueError where the file is missing, empty, no text, or open to others.
        """
        try:
            # Non-blocking: a FIFO would wait for its writer for ever.
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
                _refuse_others(path, os.fstat(file.fileno()), environ)
                content = file.read(_SECRET_MAX + 1)
            secret = content.decode().removesuffix("\n").removesuffix("\r")
        except PermissionError:
            mend = "it must be that of the user whom mtabounce runs as, by chown"
            raise ValueError(f"the secret in {path} may not be read: {mend}") from None
        except OSError as error:
            raise ValueError(f"cannot read the secret in {path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"the secret in {path} is not UTF-8 text") from None
        if not secret.strip() or len(content) > _SECRET_MAX:
            fault = "holds no secret: it is empty" if not secret.strip() else "is too long a secret"
            raise ValueError(f"{path} {fault}")
        return cls(path, secret)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> CoreSchema:
        """Tell pydantic that text is the path of a file to read."""
        del source, handler
        return core_schema.with_info_plain_validator_function(
            cls._validate, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def _validate(cls, value: object, info: ValidationInfo) -> Self:
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls.read(Path(value), info.context or os.environ)
        raise ValueError(f"expected the path of a secret file, found {found(value)}")


def _refuse_others(path: Path, status: os.stat_result, environ: Mapping[str, str]) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is not a file")
    guarded = environ.get("CREDENTIALS_DIRECTORY")
    if guarded and path.resolve().is_relative_to(Path(guarded).resolve()):
        return
    if status.st_mode & _OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise ValueError(
            f"the secret in {path} is open to other users (mode {mode:04o}): give it to the user"
            f" whom mtabounce runs as, by chown, then run: chmod 600 {path}"
        )


def found(value: object) -> str:
    """Return what *value*, of a TOML file, is, in a few words on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**30:
        return "a huge number"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return quoted(hide_passwords(value)[:80])
    if isinstance(value, list):
        return "a list"
    return "a section" if isinstance(value, dict) else type(value).__name__


def hide_passwords(text: str) -> str:
    """Return *text* without passwords and tokens of URLs and PostgreSQL connection strings."""
    text = re.sub(r"(://[^:/?#@\s]*:)\S*@", r"\1***@", text)
    text = re.sub(r"(?i)([?&][\w-]*(?:token|secret|key|sig|signature)=)[^\s&#\"']+", r"\1***", text)
    return re.sub(r"(?i)\b(\w*password\s*=\s*)('[^']*'|[^\s&]+)", r"\1***", text)
