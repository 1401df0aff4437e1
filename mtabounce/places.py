"""
Where the configuration is looked for: a file of its own, as that alone needs no settings.

Commands that do without a configuration ask here whether there is one before they import all
settings, which takes 250 ms.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

PLACES = (Path("mtabounce.toml"), Path("/etc/mtabounce/mtabounce.toml"))
PREFIX = "MTABOUNCE_"  # of the variables that set a key


def find(
    path: Path | None, environ: Mapping[str, str], places: Sequence[Path] = PLACES
) -> Path | None:
    """
    Return the file to read: *path*, $MTABOUNCE_CONFIG, or the first of *places* that is there.

    None where there is none, which is a working set-up.
    """
    if path is not None:
        return path
    if named := environ.get("MTABOUNCE_CONFIG"):
        return Path(named)
    return next((place for place in places if _may_be_there(place)), None)


def is_configured(path: Path | None, environ: Mapping[str, str]) -> bool:
    """Tell whether there is a file to read, or *environ* sets a key."""
    return find(path, environ) is not None or any(name.startswith(PREFIX) for name in environ)


def _may_be_there(path: Path) -> bool:
    """Tell whether *path* is there, or in a folder that is closed to us: reading tells that."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True
