"""Output files: checked before the work that fills them, and complete or unchanged after it.

A symbolic link is followed, and the file at its end is replaced. Nothing but a plain file ever is: devices, pipes,
sockets and folders are refused. Missing parent folders are made when a file is written.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rtl.processes.temporary import removed_at_end

__all__ = ["check_output", "check_output_folder", "output_file", "write_output", "write_outputs"]

FILE_TYPES = {
    stat.S_IFDIR: "folder",
    stat.S_IFIFO: "pipe",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}
STREAMS = (Path("/proc"), Path("/dev/fd"), Path("/dev/stdin"), Path("/dev/stdout"), Path("/dev/stderr"))
"""Names of open files. What they lead to must not be replaced: a process has it open."""


def check_output(path: Path) -> Path:
    """Return the file that an output at ``path`` goes to, with links followed.

    Raises
    ------
    ValueError
        If something other than a plain file is there.
    OSError
        If no file can be made there.
    """
    target = _end_of_links(path)
    if any(path.absolute().is_relative_to(stream) for stream in STREAMS):
        raise ValueError(f"{path}: is an open stream: must be a plain file, or absent")
    mode = _mode(path)
    if mode is not None and not stat.S_ISREG(mode):
        raise ValueError(
            f"{path}: is a {FILE_TYPES.get(stat.S_IFMT(mode), 'special file')}: must be a plain file, or absent"
        )
    _check_writable(target.parent)
    return target


def check_output_folder(path: Path) -> Path:
    """Return the folder that outputs in ``path`` go to, with links followed.

    Raises
    ------
    OSError
        If it is not a folder, or no file can be made in it.
    """
    target = _end_of_links(path)
    _check_writable(target)
    return target


def write_output(path: Path, content: str | bytes) -> None:
    """Write ``content`` (text as UTF-8) to ``path``, and return when it is on the disk.

    Raises as :func:`check_output`.
    """
    with output_file(path) as file, file.open("wb") as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
        stream.flush()
        os.fsync(stream.fileno())


def write_outputs(folder: Path, contents: Mapping[str, str]) -> None:
    """Write several files into ``folder``: all of them, or none if one cannot be written.

    Raises as :func:`check_output`.
    """
    for name in contents:
        check_output(folder / name)
    with ExitStack() as stack:
        for name, content in contents.items():
            file = stack.enter_context(_file_beside(check_output(folder / name)))
            file.write_bytes(content.encode())


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Give the context a file beside ``path`` to fill. It replaces ``path`` if the context ends without an error.

    It is removed if the context ends with an error, or if the process ends. Raises as :func:`check_output`.
    """
    target = check_output(path)
    with _file_beside(target) as file:
        yield file


@contextmanager
def _file_beside(target: Path) -> Iterator[Path]:
    _make_folder(target.parent)
    file = target.with_name(f".{target.name[:40]}.{secrets.token_hex(8)}")
    with removed_at_end(file):
        # The system applies the umask to a new file; a file that is replaced keeps its mode.
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        mode = _mode(target)
        if mode is not None:
            file.chmod(stat.S_IMODE(mode))
        yield file
        file.replace(target)


def _end_of_links(path: Path) -> Path:
    try:
        return path.resolve()
    except RuntimeError:  # how Python reports a loop of links
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path)) from None


def _mode(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _check_writable(folder: Path) -> None:
    """Check that a file can be made in ``folder``, or where ``folder`` will be made. Raises OSError if not."""
    while (mode := _mode(folder)) is None:
        folder = folder.parent
    if not stat.S_ISDIR(mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    probe = folder / f".hecaton-{secrets.token_hex(8)}"
    try:
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise OSError(error.errno, os.strerror(error.errno or 0), str(folder)) from None
    probe.unlink()


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None
