"""SCALE-Sim's inputs, read back."""

from __future__ import annotations

from configparser import ConfigParser

import pytest

from chiplet.export.scale_sim import config_cfg, gemm_rows, scale_sim_cycles, topology_csv
from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import account
from tests.chiplet.machines import small_model, small_package

MODEL = small_model(hidden=128, heads=8, kv_heads=8, head_dim=16, ffn=256)


@pytest.mark.parametrize("mesh", [(1, 1), (2, 2), (2, 4)])
@pytest.mark.parametrize("method", METHODS)
def test_multiply_adds_are_those_of_the_layer(method: str, mesh: tuple[int, int]) -> None:
    found = account(StepRequest(MODEL, small_package(), mesh=mesh, method=method, global_batch=8))
    rows = gemm_rows(found, 8)
    text = topology_csv(rows).splitlines()
    assert text[0] == "Layer, M, N, K,"
    macs = 0
    for line, row in zip(text[1:], rows, strict=True):
        name, m, n, k, end = (part.strip() for part in line.split(","))
        assert (name, end) == (row.name, "")
        macs += int(m) * int(n) * int(k) * row.times
    assert 2 * macs * mesh[0] * mesh[1] == 3 * MODEL.layer_forward_flops(8 * 64, 64)
    assert len({(row.m, row.k, row.n) for row in rows}) == len(rows)


@pytest.mark.parametrize("method", METHODS)
def test_odd_sizes_are_no_less_than_a_share(method: str) -> None:
    model = small_model()
    found = account(StepRequest(model, small_package(), mesh=(3, 2), method=method, global_batch=7))
    count = found.projection.memory.mini_batch_tokens["attention"] // 64
    macs = sum(row.m * row.k * row.n * row.times for row in gemm_rows(found, count))
    assert 2 * macs * 6 >= 3 * model.layer_forward_flops(count * 64, 64)


def test_cycles_are_those_that_scale_sim_reports() -> None:
    """As SCALE-Sim 3.0.0 reports them on a weight-stationary 32 x 16 array."""
    for m, n, k, cycles in (
        (32, 384, 256, 21119),
        (32, 32, 64, 439),
        (32, 64, 32, 439),
        (32, 256, 256, 14079),
        (32, 1408, 256, 77439),
        (704, 256, 32, 12511),
        (256, 1408, 32, 29391),
    ):
        assert scale_sim_cycles(rows=32, cols=16, m=m, k=k, n=n) == cycles


@pytest.mark.parametrize(("dtype", "element_bytes"), [("bf16", 2), ("int8", 1)])
def test_the_configuration_is_the_die(dtype: str, element_bytes: int) -> None:
    """Buffers are in KiB of its words, which have one byte: as many as ours have elements or sums."""
    sizes = ["die.scratchpad_bytes=1048576", "die.weight_bytes=524288", "die.accumulator_bytes=262144"]
    die = small_package("die.cols=16", f"die.dtype={dtype}", *sizes).die
    read = ConfigParser()
    read.read_string(config_cfg(die, "mine"))
    array = read["architecture_presets"]
    assert (array.getint("ArrayHeight"), array.getint("ArrayWidth")) == (8, 16)
    assert array.getint("IfmapSramSzkB") == 1024 // element_bytes
    assert array.getint("FilterSramSzkB") == 512 // element_bytes
    assert array.getint("OfmapSramSzkB") == 256 // 4
    assert (array["Dataflow"], read["general"]["run_name"]) == ("ws", "mine")
    assert read["run_presets"]["InterfaceBandwidth"] == "CALC"
    assert read["sparsity"]["SparsitySupport"] == "false"
