"""Runs on a Dask cluster over TCP: every result once, and one line for whatever is wrong with the cluster."""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from cosim.workers import dask as cluster
from cosim.workers.dask import run_on_cluster
from tests.cosim.workers.test_pool import square


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with LocalCluster(
        n_workers=2, threads_per_worker=2, processes=True, protocol="tcp://", dashboard_address=":0"
    ) as local:
        yield local.scheduler_address


def overlap(folder: Path) -> int:
    """Count the items at work in this process, this one among them."""
    mark = folder / f"{time.monotonic_ns()}"
    mark.touch()
    time.sleep(0.05)
    count = len(list(folder.iterdir()))
    mark.unlink()
    return count


@pytest.mark.parametrize("count", [0, 1, 5])
def test_every_item_gives_its_result_once(address: str, count: int) -> None:
    assert address.startswith("tcp://")
    found = sorted(run_on_cluster(square, range(count), address=address))
    assert found == [(index, index * index) for index in range(count)]


def test_equal_items_are_all_done(address: str) -> None:
    assert sorted(run_on_cluster(square, [3, 3, 3], address=address)) == [(0, 9), (1, 9), (2, 9)]


def test_an_error_is_raised_here(address: str) -> None:
    with pytest.raises(ValueError, match="^-1: must be at least 0$"):
        list(run_on_cluster(square, [1, -1, 2], address=address))


def test_a_caller_that_stops_asking(address: str) -> None:
    results = run_on_cluster(square, [3, 4, 5, 6], address=address)
    next(results)
    results.close()


def test_a_worker_does_one_item_at_a_time(address: str, tmp_path: Path) -> None:
    counts = [count for _, count in run_on_cluster(overlap, [tmp_path] * 8, address=address)]
    assert max(counts) <= 2


@pytest.mark.parametrize(
    ("told", "found"), [("9.9", "hecaton 9.9"), (PackageNotFoundError("hecaton"), "no hecaton")]
)
def test_a_worker_with_another_hecaton_is_refused(
    address: str, monkeypatch: pytest.MonkeyPatch, told: object, found: str
) -> None:
    monkeypatch.setattr(Client, "run", lambda *_, **__: {"tcp://other:1": told})
    message = f"--scheduler {address}: worker tcp://other:1 has {found}: must be {version('hecaton')}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        list(run_on_cluster(square, [1], address=address))


def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        with pytest.raises(ValueError, match=f"^--scheduler {address}: no Dask scheduler answers: [^\n]+$"):
            list(run_on_cluster(square, [1], address=address))


def test_an_address_that_is_none() -> None:
    with pytest.raises(ValueError, match="^--scheduler xyz://nowhere: no Dask scheduler answers: [^\n]+$"):
        list(run_on_cluster(square, [1], address="xyz://nowhere"))


def test_a_cluster_without_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with (
        LocalCluster(n_workers=0, processes=True, protocol="tcp://", dashboard_address=":0") as local,
        pytest.raises(ValueError, match=r"^--scheduler tcp://\S+: no worker in 1 s$"),
    ):
        list(run_on_cluster(square, [1], address=local.scheduler_address))


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r"^--scheduler needs Dask: .* \(pip install 'hecaton\[dask\]'\)$"):
        list(run_on_cluster(square, [1], address="tcp://127.0.0.1:1"))
