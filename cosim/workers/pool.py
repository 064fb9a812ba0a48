"""Independent runs on all cores. They end at once when they are interrupted, and when their caller ends."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager, suppress
from itertools import islice
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait as wait_for
from multiprocessing.forkserver import ensure_running
from multiprocessing.util import get_temp_dir
from pathlib import Path
from threading import Thread

from cosim.workers.work import Item, Result, Results, Work
from rtl.processes.guarded import path_begins

__all__ = ["cores", "run_all"]

MOST_FOLDER_BYTES = 70
"""Length of a folder that can hold a socket: the path has at most 107 bytes, and 32 of them are multiprocessing's."""

SHORT_FOLDER = "/tmp"
"""Where sockets are if the temporary folder has a longer name."""

SAFE_PATH = "PYTHONSAFEPATH"
"""A Python that starts with this variable set does not import from the current folder."""


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_all(
    work: Work[Item, Result], items: Sequence[Item], *, workers: int | None = None
) -> Results[Result]:
    """Do ``work`` on all ``items`` in worker processes; yield the index of each and its result, as they finish.

    Items are started in order. There are as many workers as cores unless ``workers`` says otherwise.

    An error of ``work`` is raised here. Then, and when the caller is interrupted or closes the generator, the running
    items are interrupted too (``KeyboardInterrupt`` in the worker), and no other item is started. When the caller
    is killed, its workers end.
    """
    if not items:
        return
    count = min(workers or cores(), len(items))
    before = {process.pid for process in active_children()}
    _start_server()
    # Not forked from this process, which may have threads.
    pool = ProcessPoolExecutor(
        count, mp_context=get_context("forkserver"), initializer=_begin, initargs=(dict(os.environ),)
    )
    waiting = iter(enumerate(items))
    running: dict[Future[Result], int] = {}

    def start(number: int) -> None:
        # No more than there are workers: what the pool queues ahead cannot be taken back.
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


def _start_server() -> None:
    """Start the process that workers are forked from, unless it runs."""
    # The folder of its socket, which outlives a process that is killed.
    path_begins(_socket_folder())
    with _safe_path():
        ensure_running()


def _socket_folder() -> Path:
    """Folder of the sockets that this process and its workers talk through.

    The system limits the length of a socket's path, so a temporary folder with a long name cannot hold it.
    """
    users = tempfile.gettempdir()
    if len(os.fsencode(users)) <= MOST_FOLDER_BYTES:
        return Path(get_temp_dir())
    tempfile.tempdir = SHORT_FOLDER
    try:
        return Path(get_temp_dir())
    finally:
        tempfile.tempdir = users


@contextmanager
def _safe_path() -> Iterator[None]:
    """Let Python processes that start meanwhile not import from the current folder."""
    users = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = "1"
    try:
        yield
    finally:
        if users is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = users


def _begin(environment: dict[str, str]) -> None:
    """Set up a worker: the caller's environment, and a process group of its own.

    An interrupt of the terminal must not reach the worker: the caller interrupts it, once its item has begun.
    """
    # Workers descend from a server that keeps the environment of its own start.
    os.environ.clear()
    os.environ.update(environment)
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_caller, daemon=True).start()


def _end_with_caller() -> None:
    """End this worker when the caller has ended. A kill of the caller does not reach it otherwise."""
    caller = parent_process()
    if caller is not None:
        wait_for([caller.sentinel])
        os.killpg(0, signal.SIGKILL)  # its guard ends its children


def _interruptible(work: Work[Item, Result], item: Item) -> Result:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return work(item)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
