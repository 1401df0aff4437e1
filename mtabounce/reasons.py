"""The reasons of ``rules/reasons.toml``: whose fault each is, and how final."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

from mtabounce.errors import ConfigError
from mtabounce.model import BounceType, Fault

SHIPPED = Path(__file__).parent / "rules" / "reasons.toml"
NO_TYPE = "none"  # as the type of a reason: delays, auto-replies, successes


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a message was not delivered."""

    name: str
    type: BounceType | None  # None: it counts as no failure
    fault: Fault | None  # None: nobody's
    description: str  # one sentence
    note: str = ""  # what is contested about it, and how it is decided here


def load_reasons(path: Path, types: Mapping[str, str] | None = None) -> dict[str, Reason]:
    """
    Return the reasons of the file *path*, with *types* in place of their own types.

    Raises ConfigError where *types* names a reason or a type that does not exist.
    """
    reasons = {name: _reason(name, row) for name, row in _rows(path).items()}
    for name, kind in (types or {}).items():
        if name not in reasons:
            raise ConfigError(f"there is no reason '{name}'{did_you_mean(name, reasons)}")
        reasons[name] = replace(reasons[name], type=_type(name, kind))
    return reasons


def known_reason(name: str) -> str:
    """Return *name*. Raises ValueError where the program has no reason of that name."""
    if name not in (known := _rows(SHIPPED)):
        raise ValueError(f"there is no reason '{name}'{did_you_mean(name, known)}")
    return name


def did_you_mean(word: str, known: Mapping[str, object]) -> str:
    """Return "; did you mean 'x'?" where one of the *known* words is close, or ""."""
    close = get_close_matches(word, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _rows(path: Path) -> dict[str, dict[str, str]]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _reason(name: str, row: Mapping[str, str]) -> Reason:
    return Reason(
        name=name,
        type=_type(name, row["type"]),
        fault=Fault(row["fault"]) if "fault" in row else None,
        description=row["description"],
        note=row.get("note", ""),
    )


def _type(name: str, kind: str) -> BounceType | None:
    known = {str(each): each for each in BounceType}
    if kind != NO_TYPE and kind not in known:
        allowed = ", ".join([*known, NO_TYPE])
        raise ConfigError(f"reason '{name}' cannot have the type '{kind}', only {allowed}")
    return known.get(kind)
