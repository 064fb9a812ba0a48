"""Independent runs on all cores, that end at once when they are interrupted."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import suppress
from itertools import islice
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait as wait_for
from threading import Thread
from typing import TypeVar

__all__ = ["cores", "run_all"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(
    work: Callable[[Item], Result], items: Sequence[Item], *, workers: int | None = None
) -> Generator[tuple[int, Result], None, None]:
    """Do ``work`` on all ``items`` in processes of their own; yield the index of each and its result, as they end.

    Items are started in order. ``work`` must be importable by name. There are as many processes as cores unless
    ``workers`` says otherwise.

    An error of ``work`` is raised here. When that happens, or the caller is interrupted or stops asking, what
    still runs is interrupted too (``KeyboardInterrupt`` in the worker), and no other item is started.
    """
    if not items:
        return
    count = min(workers or cores(), len(items))
    before = {process.pid for process in active_children()}
    # Not forked from this process, which may have threads.
    pool = ProcessPoolExecutor(
        count, mp_context=get_context("forkserver"), initializer=_begin, initargs=(dict(os.environ),)
    )
    waiting = iter(enumerate(items))
    running: dict[Future[Result], int] = {}

    def start(number: int) -> None:
        # No more than there are processes: what the pool queues ahead could not be taken back.
        for index, item in islice(waiting, number):
            running[pool.submit(_interruptible, work, item)] = index

    try:
        start(count)
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                result = future.result()
                index = running.pop(future)
                start(1)
                yield index, result
    except BaseException:
        for pid in {process.pid for process in active_children()} - before:
            if pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)
        raise
    finally:
        pool.shutdown()


def _begin(environment: dict[str, str]) -> None:
    """Take over the caller's environment, and make the worker's own process group: an interrupt of the terminal
    must not reach the simulators in it, some of which then wait for commands. The worker ends them.
    """
    # Workers descend from a server that keeps the environment of its own start.
    os.environ.clear()
    os.environ.update(environment)
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_caller, daemon=True).start()


def _end_with_caller() -> None:
    """End this worker and its simulators when the caller is gone, whom nothing else would tell of a kill."""
    caller = parent_process()
    if caller is not None:
        wait_for([caller.sentinel])
        os.killpg(0, signal.SIGKILL)


def _interruptible(work: Callable[[Item], Result], item: Item) -> Result:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return work(item)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
