"""Image, progress, changes and results: what is written into the folder of a run is read back."""

from __future__ import annotations

from pathlib import Path

from cosim.jobs.folder import (
    image_words,
    load_changes,
    load_progress,
    load_result,
    save_changes,
    save_image,
    save_progress,
    save_result,
)


def test_image(tmp_path: Path) -> None:
    save_image(tmp_path, {10: bytes(range(1, 9)), 2: b"\x01\0\0\0\xff\0\0\x80"})
    assert dict(image_words(tmp_path, word_bytes=4)) == {10: 0x04030201, 11: 0x08070605, 2: 1, 3: 0x800000FF}
    assert dict(image_words(tmp_path, word_bytes=8)) == {10: 0x0807060504030201, 2: 0x800000FF_00000001}


def test_results(tmp_path: Path) -> None:
    save_result(tmp_path, 0, [0x04030201, 0xFFFFFFFF], [0, 0x80000000], word_bytes=4)
    save_result(tmp_path, 1, [5], [0], word_bytes=2)
    assert load_result(tmp_path) == (b"\x01\x02\x03\x04\xff\xff\xff\xff", b"\0\0\0\0\0\0\0\x80")
    assert load_result(tmp_path, 1) == (b"\5\0", b"\0\0")


def test_progress(tmp_path: Path) -> None:
    assert load_progress(tmp_path) == 0
    save_progress(tmp_path, 500)
    assert load_progress(tmp_path) == 500
    (tmp_path / "progress").write_text("")
    assert load_progress(tmp_path) == 0


def test_changes(tmp_path: Path) -> None:
    changes = [(0, "die.a", 1), (7, "die.b", 0)]
    save_changes(tmp_path, changes)
    assert load_changes(tmp_path) == changes
