"""Independent runs on a Dask cluster, as :func:`cosim.workers.pool.run_all` does them on the local cores."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from threading import Lock
from typing import Any

from cosim.backends.base import SimulationError
from cosim.workers.work import Item, Result, Results, Work

__all__ = ["run_on_cluster"]

CONNECT_SECONDS = 20
_one_at_a_time = Lock()


def run_on_cluster(work: Work[Item, Result], items: Sequence[Item], *, address: str) -> Results[Result]:
    """Do ``work`` on all ``items`` on the workers of the Dask scheduler at ``address``; yield the index of each and
    its result, as they finish.

    A worker does one item at a time, however many threads it has; the items of a lost worker go to another one.
    Workers share no files with this process or each other. An error of ``work`` is raised here; then, and when the
    caller closes the generator, no other item is started.

    Raises
    ------
    ValueError
        If Dask is not installed, nothing answers at ``address``, no worker comes, or one has another version of
        Hecaton.
    SimulationError
        If worker after worker is lost over an item.
    """
    try:
        import distributed
    except ImportError:
        raise ValueError(
            "--scheduler needs Dask: install hecaton with its extra dask (pip install 'hecaton[dask]')"
        ) from None
    try:
        client = distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise ValueError(f"--scheduler {address}: no Dask scheduler answers: {reason}") from None
    with client:
        _check_workers(client, address)
        futures = client.map(_exclusive, [work] * len(items), items, pure=False)
        indices = {future.key: index for index, future in enumerate(futures)}
        try:
            for future in distributed.as_completed(futures, loop=client.loop):
                index = indices[future.key]
                try:
                    result = future.result()
                except distributed.KilledWorker as error:
                    raise SimulationError(f"--scheduler {address}: workers are lost: {error}") from None
                # A result need not stay on the cluster once it is here.
                futures[index].release()
                yield index, result
        finally:
            client.cancel(futures)


def _check_workers(client: Any, address: str) -> None:
    try:
        client.wait_for_workers(1, timeout=CONNECT_SECONDS)
    except TimeoutError:
        raise ValueError(f"--scheduler {address}: no worker in {CONNECT_SECONDS} s") from None
    here = version("hecaton")
    for worker, there in client.run(version, "hecaton", on_error="return").items():
        if there != here:
            installed = f"hecaton {there}" if isinstance(there, str) else "no hecaton"
            raise ValueError(f"--scheduler {address}: worker {worker} has {installed}: must be {here}")


def _exclusive(work: Work[Item, Result], item: Item) -> Result:
    # A run has a core to itself, and the conversion to RTLIL changes settings of the whole process.
    with _one_at_a_time:
        return work(item)
