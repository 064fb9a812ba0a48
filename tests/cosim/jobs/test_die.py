"""Job, image, outcome and progress: what is written into the folder of a run is read back."""

from __future__ import annotations

from pathlib import Path

from cosim.jobs.die import DieJob, Outcome, image_words, load_progress, save_image, save_progress


def test_job(tmp_path: Path) -> None:
    job = DieJob(
        word_bytes=8,
        program_address=7,
        commands=3,
        result_address=1,
        result_words=2,
        latency=20,
        interval=4,
        stall=65535,
        seed=1 << 31,
        most_cycles=10**9,
    )
    job.save(tmp_path)
    assert DieJob.load(tmp_path) == job


def test_image(tmp_path: Path) -> None:
    save_image(tmp_path, {10: bytes(range(1, 9)), 2: b"\x01\0\0\0\xff\0\0\x80"})
    assert dict(image_words(tmp_path, word_bytes=4)) == {10: 0x04030201, 11: 0x08070605, 2: 1, 3: 0x800000FF}
    assert dict(image_words(tmp_path, word_bytes=8)) == {10: 0x0807060504030201, 2: 0x800000FF_00000001}


def test_outcome(tmp_path: Path) -> None:
    outcome = Outcome(counters={"cycles": 1 << 40, "macs": 3}, seconds=0.5)
    outcome.save(tmp_path, [0x04030201, 0xFFFFFFFF], [0, 0x80000000], word_bytes=4)
    assert Outcome.load(tmp_path) == (outcome, b"\x01\x02\x03\x04\xff\xff\xff\xff", b"\0\0\0\0\0\0\0\x80")


def test_progress(tmp_path: Path) -> None:
    assert load_progress(tmp_path) == 0
    save_progress(tmp_path, 500)
    assert load_progress(tmp_path) == 500
    (tmp_path / "progress").write_text("")
    assert load_progress(tmp_path) == 0
