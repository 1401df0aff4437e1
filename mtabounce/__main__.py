"""
The command ``mtabounce``, and ``python -m mtabounce``.

``mtabounce pipe`` starts for each bounce, so it goes another way, that imports next to nothing.
There, whatever goes wrong, even an import, means "try again later": EX_TEMPFAIL.
"""

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command, and exit as sysexits(3) says."""
    if _is_pipe(sys.argv[1:]):
        os._exit(_pipe(sys.argv[1:]))  # nothing that runs at exit may change the status
    from mtabounce.cli import main as command

    command()


def _is_pipe(words: list[str]) -> bool:
    if words[:1] == ["--config"]:
        words = words[2:]
    elif words and words[0].startswith("--config="):
        words = words[1:]
    return words[:1] == ["pipe"] and not {"-h", "--help"} & set(words)


def _pipe(words: list[str]) -> int:
    try:
        from mtabounce.sources import handover

        task = handover.parse(words)
        status = handover.hand_over(task)
        if status is None:  # the daemon is away
            from mtabounce.cli.pipe import store

            status = store(task)
    except BaseException as error:  # noqa: BLE001 (SystemExit, MemoryError and all others)
        return _try_again(error)
    return status


def _try_again(error: BaseException) -> int:
    try:
        said = " ".join(str(error).split()) or type(error).__name__
        os.write(2, f"mtabounce pipe: try again later: {said}\n".encode("utf-8", "replace"))
    finally:
        return os.EX_TEMPFAIL  # noqa: B012 (that not even this may change)


if __name__ == "__main__":
    main()
