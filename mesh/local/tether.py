"""``python tether.py PARENT COMMAND...``: become COMMAND, and die with the process PARENT, however that one ends.

A file to run, not to import: it does its work between the fork and the exec of a child, where the runner's own
interpreter, which has threads, may do nothing. Only the standard library, for it starts without site packages.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""From <linux/prctl.h>; the setting survives execve(2) of a program that is not set-user-ID."""


def main() -> None:
    """Tie this process to its parent, then replace it."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    library = ctypes.CDLL(None, use_errno=True)
    # Absent outside Linux; the runner's own clean stop is all there is then.
    if hasattr(library, "prctl"):
        library.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        # The parent died before the tie was made.
        raise SystemExit(1)
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
