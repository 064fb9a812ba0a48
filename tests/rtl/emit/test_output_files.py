"""Output files: links followed, only plain files replaced, complete or unchanged."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from rtl.emit.output_files import check_output, check_output_folder, output_file, write_output, write_outputs

Make = Callable[[Path], object]


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))  # its name may not be long


REFUSED: list[tuple[str, Make]] = [("folder", Path.mkdir), ("pipe", os.mkfifo), ("socket", make_socket)]


def test_writes_text_and_bytes_and_makes_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.txt"
    assert check_output(path) == path
    assert list(tmp_path.iterdir()) == []
    write_output(path, "µ\n")
    assert path.read_bytes() == b"\xc2\xb5\n"
    write_output(path, b"\x00")
    assert path.read_bytes() == b"\x00"
    assert list(path.parent.iterdir()) == [path]


def test_a_new_file_follows_the_umask_and_an_old_one_keeps_its_mode(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        write_output(tmp_path / "new", "")
    finally:
        os.umask(previous)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640
    (tmp_path / "new").chmod(0o600)
    write_output(tmp_path / "new", "again")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_a_link_and_its_target_is_replaced(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "elsewhere" / "target"
    if exists:
        write_output(target, "old")
    (tmp_path / "second").symlink_to("elsewhere/target")
    (tmp_path / "first").symlink_to(tmp_path / "second")
    assert check_output(tmp_path / "first") == target
    write_output(tmp_path / "first", "new")
    assert (tmp_path / "first").is_symlink()
    assert (tmp_path / "second").is_symlink()
    assert target.read_text() == "new"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize(("kind", "make"), REFUSED)
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_no_plain_file_is_refused_and_stays(
    tmp_path: Path, kind: str, make: Make, linked: bool
) -> None:
    path = there = tmp_path / "there"
    make(there)
    if linked:
        path = tmp_path / "link"
        path.symlink_to(there)
    mode = there.stat().st_mode
    message = f"{path}: is a {kind}: must be a plain file, or absent"
    for refuse in (check_output, lambda path: write_output(path, "x")):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            refuse(path)
    assert there.stat().st_mode == mode


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/dev/null", "a device"),
        ("/dev/stdout", "an open stream"),
        ("/dev/fd/1", "an open stream"),
        ("/proc/self/fd/1", "an open stream"),
    ],
)
def test_devices_and_open_streams_are_refused(path: str, kind: str) -> None:
    with pytest.raises(ValueError, match=f"^{path}: is {kind}: must be a plain file, or absent$"):
        write_output(Path(path), "x")


def test_a_place_without_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for check in (check_output, check_output_folder):
        with pytest.raises(NotADirectoryError):
            check(tmp_path / "file" / "result")
    with pytest.raises(NotADirectoryError):
        check_output_folder(tmp_path / "file")


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "read-only").mkdir(mode=0o500)

    def read_only(path: Path, *arguments: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    if os.getuid() == 0:  # root may write everywhere
        monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(PermissionError) as refusal:
        check_output(tmp_path / "read-only" / "new" / "result")
    assert refusal.value.filename == str(tmp_path / "read-only")
    with pytest.raises(PermissionError):
        check_output_folder(tmp_path / "read-only")


def test_links_that_lead_to_each_other_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for check in (check_output, check_output_folder):
        with pytest.raises(OSError, match="Too many levels of symbolic links") as refusal:
            check(tmp_path / "a")
        assert refusal.value.filename == str(tmp_path / "a")


def test_a_failed_write_leaves_the_old_file_and_no_litter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "result"
    path.write_text("old")

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        write_output(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_not_finished_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "result"
    path.write_text("old")

    def interrupted() -> None:
        with output_file(path) as file:
            file.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_several_files_are_written_or_none(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write_outputs(folder, {"a": "1", "b": "2"})
    (folder / "c").mkdir()
    with pytest.raises(ValueError, match="c: is a folder"):
        write_outputs(folder, {"a": "3", "c": "4"})
    assert (folder / "a").read_text() == "1"
    write_outputs(folder, {"a": "3", "b": "4"})
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b", "c"]
    assert [(folder / name).read_text() for name in "ab"] == ["3", "4"]
