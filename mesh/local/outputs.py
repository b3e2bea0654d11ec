"""Files that the commands write: each appears under its name only when it is whole."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from typing import IO, TYPE_CHECKING, Final

from mesh.local.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def cannot_write(path: Path, reason: str) -> LocalError:
    """What to say when a file cannot be written.

    Args:
        path: the file.
        reason: the system's words.
    """
    return LocalError(
        f"{path} cannot be written: {reason}", "check that the folder exists, is writable, and its disk is not full"
    )


def check_writable(path: Path) -> None:
    """Find out before the work rather than after it whether a file can be written.

    Raises:
        LocalError: it cannot.
    """
    if not path.parent.is_dir():
        raise cannot_write(path, os.strerror(errno.ENOENT))
    if not os.access(path.parent, os.W_OK):
        raise cannot_write(path, os.strerror(errno.EACCES))


@contextlib.contextmanager
def whole_text_file(path: Path) -> Iterator[IO[str]]:
    """A text file that takes its place when the block ends well, and leaves nothing behind when it does not.

    Raises:
        LocalError: it cannot be written.
    """
    check_writable(path)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w") as file:
            yield file
        part.replace(path)
    except OSError as error:
        if error.filename is None and error.errno not in _FULL:
            # Of something else that the block did.
            raise
        raise cannot_write(path, error.strerror or str(error)) from None
    finally:
        part.unlink(missing_ok=True)


def write_report(path: Path, content: object) -> None:
    """Write a JSON report.

    Raises:
        LocalError: it cannot be written.
    """
    with whole_text_file(path) as file:
        json.dump(content, file, indent=2)
        file.write("\n")
