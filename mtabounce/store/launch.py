"""
Becomes a program of PostgreSQL, as another user where asked, that never outlives its parent.

Run as a script, so that nothing happens between fork and exec in a process with threads:
``python -I -S launch.py PARENT UID GID PROGRAM ARGUMENT…``. It may import the stdlib only.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def main(parent: int, uid: int, gid: int, command: list[str]) -> None:
    """Become *command* as *uid*; SIGINT, which is a fast shutdown, comes when *parent* dies."""
    os.umask(0o077)
    if os.geteuid() == 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After setuid, which clears it: prctl(2).
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0):
        sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")
    if os.getppid() == parent:  # otherwise it died before prctl could tell
        os.execv(command[0], command)  # noqa: S606 (the caller gives a full path)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
