"""Writing that survives a crash: whole or not at all, and on the disk when the call returns.

Every durable byte of autoreg goes through here. A file is written beside its place, flushed and
renamed; a line is appended in one write and flushed, and a line that was torn by an earlier crash
is cut off first. A disk that is full or cannot be written is a DiskError with its remedy: what was
durable stays, and the same command continues.

``at`` hears of each step of a write. Tests put something there that kills the process.
"""

from __future__ import annotations

import fcntl
import io
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoreg.errors import BusyError, DiskError

if TYPE_CHECKING:
    from numpy.typing import NDArray

HALF = 2  # a write is told to ``at`` before, after half of its bytes, and after it

at: Callable[[str], None] = lambda step: None  # noqa: E731 # a place for tests to hang in


def write_whole(
    path: Path, content: str | bytes, *, durable: bool = True, private: bool = False
) -> Path:
    """Write a file, all of it or nothing; readers see the old or the new one, never a part.

    ``private`` lets nobody but the owner read it. ``durable=False`` does not wait for the disk.
    Raises DiskError where it cannot be written.

    >>> import tempfile
    >>> write_whole(Path(tempfile.mkdtemp()) / "a.txt", "whole").read_text()
    'whole'
    """
    data = content.encode() if isinstance(content, str) else content
    partial = path.with_name(f"{path.name}.{os.getpid()}.new")
    with guarded(path):
        with partial.open("wb") as file:
            if private:
                os.fchmod(file.fileno(), 0o600)
            _write(file.fileno(), data, path)
            if durable:
                os.fsync(file.fileno())
        at(f"rename {path.name}")
        partial.replace(path)
        if durable:
            _flush_folder(path.parent)
    at(f"renamed {path.name}")
    return path


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> Path:
    """Write numpy arrays into one ``.npz`` file, all of it or nothing; the same bytes each time."""
    import numpy as np

    whole = io.BytesIO()
    np.savez(whole, allow_pickle=False, **arrays)
    return write_whole(path, whole.getvalue())


def append_line(path: Path, line: str) -> None:
    """Append a line of text (without its end); when this returns it is on the disk.

    A torn last line is cut off first, so that the new one stands alone. Not for several writers
    at once: they need a lock around it. Raises DiskError where it cannot be written.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "log"
    >>> _ = path.write_text("whole" + chr(10) + "to")
    >>> append_line(path, "next")
    >>> path.read_text().split()
    ['whole', 'next']
    """
    with guarded(path):
        cut_torn_line(path)
        is_new = not path.exists()
        with path.open("ab") as file:
            _write(file.fileno(), f"{line}\n".encode(), path)
            os.fsync(file.fileno())
        if is_new:
            _flush_folder(path.parent)
    at(f"appended {path.name}")


def cut_torn_line(path: Path) -> None:
    """Cut off what follows the last end of a line: a write that a crash broke off."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        if (end := _end_of_lines(file.fileno())) < path.stat().st_size:
            file.truncate(end)


def sweep(folder: Path) -> None:
    """Remove what broken-off writes have left in a folder; nobody else may be writing there.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "model.json.17.new").touch()
    >>> sweep(folder)
    >>> list(folder.iterdir())
    []
    """
    with guarded(folder):
        for left in folder.glob("*.new"):
            left.unlink(missing_ok=True)


def made(folder: Path) -> Path:
    """The folder, made where it is not there. Raises DiskError where that is impossible."""
    with guarded(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def transaction(path: Path) -> Iterator[sqlite3.Connection]:
    """One transaction on an SQLite file: all of it is kept at the end, or nothing.

    Raises DiskError where the file cannot be read or written, or is no database (any more).
    """
    try:
        # Begun by hand: sqlite3 by itself begins late, after reads and tables that are made.
        opened = sqlite3.connect(path, timeout=20, isolation_level=None)
        with closing(opened) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
    except sqlite3.OperationalError as error:  # the disk is full, the file is locked or read-only
        raise _unwritable(path, str(error)) from error
    except sqlite3.IntegrityError:  # what the caller asked of it, not the file
        raise
    except sqlite3.DatabaseError as error:
        raise DiskError(
            f"{path} cannot be read ({error}): set the file aside, and a new one is begun"
        ) from error


@contextmanager
def exclusive(path: Path, busy: str) -> Iterator[None]:
    """Hold a file for one process; the lock ends with the process.

    Raises BusyError in the words of ``busy`` where another process holds it, DiskError where the
    file cannot be written.
    """
    with guarded(path):
        file = path.open("w")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(busy) from None
        yield


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """What the operating system says about a file, as a DiskError that names file and remedy."""
    try:
        yield
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error


def _unwritable(path: Path, why: str) -> DiskError:
    return DiskError(
        f"{path} cannot be written ({why}); everything recorded before is kept: make room or allow "
        f"writing there (--home names another folder), and the same command continues"
    )


def _write(descriptor: int, data: bytes, path: Path) -> None:
    at(f"write {path.name}")
    middle = len(data) // HALF
    rest = memoryview(data)
    while rest:
        # In two parts, so that a kill can fall between them as it can in a large file.
        ahead = middle - (len(data) - len(rest))
        rest = rest[os.write(descriptor, rest[:ahead] if ahead > 0 else rest) :]
        if ahead > 0:
            at(f"tear {path.name}")


def _flush_folder(folder: Path) -> None:
    """A new name in a folder is on the disk when the folder is."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _end_of_lines(descriptor: int, step: int = 1 << 16) -> int:
    """Where the last whole line ends; read from the end, for files grow long."""
    end = os.lseek(descriptor, 0, os.SEEK_END)
    while end > 0:
        start = max(0, end - step)
        place = os.pread(descriptor, end - start, start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0
