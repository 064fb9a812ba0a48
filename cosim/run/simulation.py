"""What every run of a bench shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from chiplet.machine.specs import DieSpec
from cosim.jobs.die import load_progress

LEAST_MEMORY_WORDS = 4096


WATCH_SECONDS = 0.5


def with_inferred_sram(die: DieSpec) -> DieSpec:
    return die.model_copy(update={"sram": "inferred"})


def bench_depth(memory_words: int) -> int:
    return max(LEAST_MEMORY_WORDS, 1 << (memory_words - 1).bit_length())


@contextmanager
def watch(folder: Path, cycles: float, progress: Callable[[float], None] | None) -> Iterator[None]:
    """Tell ``progress`` which part of ``cycles`` the bench in ``folder`` has passed, until the context ends."""
    if progress is None:
        yield
        return
    over = Event()

    def look() -> None:
        while not over.wait(WATCH_SECONDS):
            progress(min(1.0, load_progress(folder) / cycles))

    watcher = Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
