"""Files that are written in full or not at all.

The hard idea is to keep the old file until the new one is safe. This program loses both if it is killed, or the power
fails, at a bad moment:

    with open(path, "wb") as file:      # the old weights are gone
        file.write(data)                # half of the new ones are on the disk

So the bytes go to another file in the same folder, which then takes the old one's name; `os.replace` does that at once
or not at all. Renaming alone is not enough: the system writes to the disk in any order, and may store the name before
the bytes, so that a power failure leaves a file of zeros. `os.fsync` waits until the bytes are on the disk; a second
one, for the folder, waits until the name is.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["StrPath", "check_regular", "naming", "on_terminal", "say", "visible", "write_atomically"]

StrPath = str | os.PathLike[str]


def visible(text: object) -> str:
    """A text that is safe to print: what would steer a terminal, or cannot be encoded, as an escape such as \\x1b."""
    return "".join([c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in str(text)])


def say(text: str) -> None:
    """Prints a line at once; nothing where stdout is closed or None, as in a program without a console."""
    if not getattr(sys.stdout, "closed", False):
        print(text, flush=hasattr(sys.stdout, "flush"))


def on_terminal() -> bool:
    """Whether stderr can show a progress bar."""
    return not getattr(sys.stderr, "closed", True) and sys.stderr.isatty()


def check_regular(path: StrPath, expected: str) -> None:
    """Raises ValueError if the path is there but is not a file: opening a pipe would wait for ever."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise ValueError(f"{path} is a folder or a device or a pipe; expected {expected}, give the path of one")


@contextmanager
def naming(path: StrPath) -> Iterator[None]:
    """Gives the path to an OSError that comes from within: that of a full disk has none, others a temporary one."""
    try:
        yield
    except OSError as error:
        if error.errno is not None:
            del error.filename2
            error.filename = os.fspath(path)
        raise


def write_atomically(path: StrPath, data: bytes, *, folders: bool = False) -> None:
    """Writes a file so that, whatever happens, the old or the new content is there in full.

    The bytes are first in a hidden file beside it, `.NAME.PID.XXXXXXXX.tmp`. An error removes it; if a killed process
    leaves one, the next call removes it. When two programs write to one path at the same time, the later one wins; they
    should run on one computer, as only there one can see whether the other is still running.

    Args:
        path: The file; a symbolic link stays, and the file it leads to is replaced. Permissions are those of the file
            before, or of any new one.
        data: Its content.
        folders: Whether to make the folders of the path where there are none.

    Raises:
        ValueError: The path is a folder or a device.
        OSError: The file cannot be written; it names the path, also where the disk is full.
    """
    from pathlib import Path  # these take a while to load
    from shutil import copymode

    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise ValueError(f"{path} is a folder or a device or a pipe, and only a file can be replaced; add a file name")
    if folders:
        target.parent.mkdir(parents=True, exist_ok=True)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: there is no folder {target.parent}; make it first")
    start = f".{target.name[:50]}."  # all of it could make a name that is too long
    for name in os.listdir(target.parent):
        if match := re.fullmatch(re.escape(start) + r"([0-9]{1,9})\.[0-9a-f]{8}\.tmp", name):
            remove_left_over(target.parent / name, int(match[1]))
        elif re.fullmatch(re.escape(target.name) + r"\.[0-9a-f]{16}\.part", name):  # of the first version of this file
            remove_left_over(target.parent / name)
    temporary = target.with_name(f"{start}{os.getpid()}.{os.urandom(4).hex()}.tmp")
    try:
        with naming(path):
            with open(temporary, "xb") as file:
                if target.exists():
                    copymode(target, temporary)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # Windows and some network disks cannot sync a folder
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_left_over(path: Path, pid: int | None = None) -> None:
    """Removes a temporary file if it is older than a day, or the process that wrote it is known to be gone."""
    gone = False
    if pid is not None and os.name == "posix":  # Windows has no signal 0: there os.kill would end the process
        try:
            os.kill(pid, 0)
        except OSError as error:
            gone = isinstance(error, ProcessLookupError)
    with suppress(OSError):
        if gone or time.time() - path.stat().st_mtime > 86_400:
            path.unlink()
