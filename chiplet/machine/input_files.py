"""Text of the files that users give: configurations, models, calibrations, design spaces."""

from __future__ import annotations

import errno
from pathlib import Path

MOST_BYTES = 64 * 2**20
"""Largest file that is read: none of these files has megabytes, and a device has no end."""

_PART_BYTES = 2**16


def read_input(path: Path, *, encoding: str = "utf-8") -> str:
    """The text of the file at ``path``.

    Raises
    ------
    OSError
        If it cannot be read, or has more than :data:`MOST_BYTES`.
    UnicodeDecodeError
        If it is not text in ``encoding``.
    """
    content = bytearray()
    with path.open("rb") as file:
        while part := file.read(_PART_BYTES):
            content += part
            if len(content) > MOST_BYTES:
                raise OSError(errno.EFBIG, f"larger than {MOST_BYTES >> 20} MiB", str(path))
    return content.decode(encoding)
