"""Independent runs on a Dask cluster, as :func:`cosim.workers.pool.run_all` does them on the local cores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from importlib.metadata import version
from threading import Lock
from typing import Any, TypeVar

from cosim.backends.base import SimulationError

__all__ = ["run_on_cluster"]

Item = TypeVar("Item")
Result = TypeVar("Result")

CONNECT_SECONDS = 20
_one_at_a_time = Lock()


def run_on_cluster(
    work: Callable[[Item], Result], items: Sequence[Item], *, address: str
) -> Generator[tuple[int, Result], None, None]:
    """Do ``work`` on all ``items`` on the workers of the Dask scheduler at ``address``; yield the index of each and
    its result, as they end.

    ``work`` must be importable by name on the workers. A worker does one item at a time, however many threads it
    has; what a lost worker had is done by another one. Workers share no files with this process or each other.
    An error of ``work`` is raised here; then, and when the caller stops asking, nothing else is started.

    Raises
    ------
    ValueError
        If Dask is not installed, nothing answers at ``address``, no worker comes, or one has another Hecaton.
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
                # What is done need not stay on the cluster.
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
            found = f"hecaton {there}" if isinstance(there, str) else "no hecaton"
            raise ValueError(f"--scheduler {address}: worker {worker} has {found}: must be {here}")


def _exclusive(work: Callable[[Item], Result], item: Item) -> Result:
    # cocotb's runner prints to, and changes, what all threads of a process share.
    with _one_at_a_time:
        return work(item)
