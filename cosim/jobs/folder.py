"""Files that every bench shares with its host, in the folder of the run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "ResultWords",
    "image_words",
    "load_changes",
    "load_progress",
    "load_result",
    "save_changes",
    "save_image",
    "save_progress",
    "save_result",
]


def save_image(folder: Path, segments: Mapping[int, bytes]) -> None:
    """Write memory contents into ``folder``, by the address of their first word. Other words stay undefined."""
    for address, content in segments.items():
        (folder / f"image_{address}.bin").write_bytes(content)


def image_words(folder: Path, *, word_bytes: int) -> Iterator[tuple[int, int]]:
    """Memory contents as pairs of address and word."""
    for path in sorted(folder.glob("image_*.bin")):
        content = path.read_bytes()
        first = int(path.stem.removeprefix("image_"))
        for start in range(0, len(content), word_bytes):
            yield first + start // word_bytes, int.from_bytes(content[start : start + word_bytes], "little")


def save_progress(folder: Path, progress: int) -> None:
    """Write how far the run is: cycles, or phases."""
    written = folder / "progress.new"
    written.write_text(str(progress))
    written.replace(folder / "progress")  # the host never sees an empty file


def load_progress(folder: Path) -> int:
    """Read how far the run is; 0 before the bench has written it."""
    try:
        return int((folder / "progress").read_text())
    except (OSError, ValueError):
        return 0


def save_changes(folder: Path, changes: Iterable[tuple[int, str, int]]) -> None:
    """Write changes of observed signals: cycle, name, value."""
    (folder / "changes.json").write_text(json.dumps(list(changes)))


def load_changes(folder: Path) -> list[tuple[int, str, int]]:
    """Read the changes of observed signals, in the order of time."""
    return [(cycle, name, value) for cycle, name, value in json.loads((folder / "changes.json").read_text())]


class ResultWords(NamedTuple):
    """Words at the end of a run, as bytes.

    Attributes
    ----------
    values
        The words; undefined bits have any value.
    undefined
        As many bytes: the bits that are undefined.
    """

    values: bytes
    undefined: bytes


def _result_paths(folder: Path, number: int) -> tuple[Path, Path]:
    return folder / f"result_{number}.bin", folder / f"undefined_{number}.bin"


def save_result(
    folder: Path, number: int, words: Iterable[int], undefined: Iterable[int], *, word_bytes: int
) -> None:
    """Write the words of result ``number``, and which of their bits are undefined."""
    for path, values in zip(_result_paths(folder, number), (words, undefined), strict=True):
        path.write_bytes(b"".join(value.to_bytes(word_bytes, "little") for value in values))


def load_result(folder: Path, number: int = 0) -> ResultWords:
    """Read the words of result ``number``."""
    values, undefined = _result_paths(folder, number)
    return ResultWords(values.read_bytes(), undefined.read_bytes())
