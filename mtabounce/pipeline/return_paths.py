"""The return paths that inputs came to: which of them prove something, and what."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from prometheus_client import Counter
from psycopg import AsyncConnection

from mtabounce.address import normalize
from mtabounce.correlate import Observation, ReturnPath
from mtabounce.model import Judged, RawInput, Trust
from mtabounce.store import return_paths as store
from mtabounce.verp import (
    Checked,
    Keyring,
    Result,
    unwrapped,
    verp_recipient,
)

PATHS = Counter(
    "mtabounce_return_paths_total",
    "Addresses that inputs were sent to: genuine, expired, forged, unknown_key, foreign,"
    " unknown_number (genuine, but of another database), verp, unsigned; other_recipient: reports"
    " to a genuine one that name somebody else; replayed: to one that had its bounce before.",
    ["result"],
)
_DAY = 86_400


def signed_with(ring: Keyring) -> Callable[[str], bool]:
    """Return the test whether an address was signed with a key of *ring*, be it expired or not."""
    return lambda path: ring.check(unwrapped(path), today()).is_signed


def today() -> int:
    """Return the number of this day since 1970, in UTC."""
    return int(time.time()) // _DAY


async def look_up(
    conn: AsyncConnection[Any],
    ring: Keyring,
    raw: Sequence[RawInput],
    judged: Sequence[Judged | str],
) -> list[tuple[ReturnPath, ...]]:
    """
    Return for each of *raw* what the addresses tell that it was sent to.

    So do those that it names itself as the return path of the mail it is about, as *judged* says:
    who knows one that is signed has had the mail.
    """
    checked = [
        [(path, _check(ring, path, one)) for path in dict.fromkeys((*one.forward_paths, *named))]
        for one, named in zip(raw, map(_named, judged), strict=True)
    ]
    ids = {check.number for paths in checked for _, check in paths if check.is_proof}
    known = await store.made_for(conn, ids) if ids else {}
    return [
        tuple(told for path, check in paths if (told := _told(path, check, known)))
        for paths in checked
    ]


def _named(judged: Judged | str) -> tuple[str, ...]:
    return () if isinstance(judged, str) else judged.reading.return_paths


def count_strangers(paths: Sequence[ReturnPath], observations: Iterable[Observation]) -> None:
    """Count those of *observations* that came to a signed path made for somebody else."""
    signed_for = {path.recipient for path in paths if path.mark}
    if signed_for:
        others = [one for one in observations if one.recipient not in signed_for]
        PATHS.labels("other_recipient").inc(len(others))


async def without_replays(
    conn: AsyncConnection[Any], observations: Sequence[Observation], ids: Mapping[str, int]
) -> list[Observation]:
    """
    Return *observations*; what comes to a signed path after its bounce is but a claim.

    One message fails once for a recipient: the first report on it is believed, and whoever sends
    others to the address that stood in it changes nothing. *ids* are those of the recipients.
    """
    uses = {(ids[one.recipient], one.key): _use_of(one) for one in observations}
    rows = [
        {"recipient_id": number, "key": key, **use} for (number, key), use in uses.items() if use
    ]
    used = await store.used_paths(conn, rows) if rows else set()
    met: set[tuple[object, object]] = set()
    told = []
    for one in observations:
        mark = (ids[one.recipient], one.key)
        if use := uses[mark]:
            way = (use["ref"], use["kind"])
            if mark in used or way in met:
                PATHS.labels("replayed").inc()
                told.append(replace(one, trust=Trust.CLAIMED))
                continue
            met.add(way)
        told.append(one)
    return told


def _use_of(one: Observation) -> dict[str, Any] | None:
    """Return what tells the use that *one* makes of a signed path; None where it makes none."""
    ref = next((ref for ref in one.refs if ref.kind == "return_path"), None)
    if ref is None or not one.counts:
        return None
    return {"ref": ref.key, "kind": one.source.partition(":")[0], "input_id": one.input_id}


def _check(ring: Keyring, path: str, raw: RawInput) -> Checked:
    # By the day it arrived: the answer is the same however late it is worked on, or again.
    return ring.check(unwrapped(path), int(raw.received_at.timestamp()) // _DAY)


def _told(path: str, check: Checked, known: Mapping[int, store.MadeFor]) -> ReturnPath | None:
    made = known.get(check.number) if check.is_proof else None
    if made is not None:
        PATHS.labels(check.result).inc()
        return ReturnPath(_key(made.recipient), made.campaign, f"{made.id} {check.expires}")
    if check.result is Result.UNSIGNED and (recipient := verp_recipient(unwrapped(path))):
        PATHS.labels("verp").inc()
        return ReturnPath(_key(recipient))
    PATHS.labels("unknown_number" if check.is_proof else check.result).inc()
    return None if check.result is Result.UNSIGNED else ReturnPath("", is_spoilt=True)


def _key(address: str) -> str:
    try:
        return normalize(address)
    except ValueError:  # of SQL, that knows less of addresses: it then names nobody
        return ""
