"""DRAM traffic of blocks."""

from __future__ import annotations

from typing import Any

import pytest

from chiplet.machine.memory_plane import memory_plane
from chiplet.methods.base import Method
from chiplet.methods.registry import make_switches, method_type
from chiplet.step.dram_traffic import DramTraffic, activation_traffic, update_traffic, weight_bytes
from chiplet.workload.operations import FusedBlock
from nop.topology import Mesh
from tests.chiplet.machines import PACKAGE, package, small_model

MODEL = small_model()
SAVED_FFN = 600
SAVED_ATTENTION = 96 + 48 + 96


def _blocks(
    name: str = "hecaton", mesh: Mesh | None = None, **switches: Any
) -> tuple[Method, tuple[FusedBlock, ...]]:
    method = method_type(name)(MODEL, mesh or Mesh(2, 2), make_switches(name, switches), 2)
    return method, method.blocks()


def _traffic(block: FusedBlock, method: Method, parts: int = 1) -> tuple[DramTraffic, DramTraffic]:
    """Activations of 100 tokens in sequences of 64."""
    return activation_traffic(block, method, 100, parts=parts, slices=1, length=64, key_block=0)


@pytest.mark.parametrize(
    ("recompute", "attention", "ffn"),
    [
        ("none", SAVED_ATTENTION + 8 * 64, SAVED_FFN),
        ("selective", SAVED_ATTENTION, SAVED_FFN),
        ("full", 0, 0),
    ],
)
def test_fused_blocks_touch_dram_with_inputs_outputs_and_what_is_saved(
    recompute: str, attention: int, ffn: int
) -> None:
    method, blocks = _blocks(recompute=recompute)
    for part, saved in zip(blocks, (attention, ffn, None), strict=True):
        forward, backward = _traffic(part, method)
        if saved is None:  # the head reads its input and writes its gradient
            assert (forward.dram, backward.dram) == (100 * 2 * 96, 100 * 2 * 96)
        else:
            assert forward.dram == 100 * 2 * (2 * 96 + saved)
            assert backward.dram == 100 * 2 * (3 * 96 + saved)


@pytest.mark.parametrize(
    ("parts", "recompute", "forward", "backward"),
    [
        (2, "none", 96 + 96, 96 + 2 * 96),
        (3, "none", 96 + 96 + 144, 96 + 2 * (96 + 144)),
        (3, "full", 96 + 2 * (96 + 144), 96 + 2 * (96 + 144) + 96 + 2 * (96 + 144)),
    ],
)
def test_parts_of_a_split_block_exchange_activations_through_dram(
    parts: int, recompute: str, forward: int, backward: int
) -> None:
    method, blocks = _blocks(recompute=recompute)
    whole = _traffic(blocks[0], method)
    apart = _traffic(blocks[0], method, parts)
    assert apart[0].dram - whole[0].dram == 100 * 2 * forward
    assert apart[1].dram - whole[1].dram == 100 * 2 * backward


def test_kept_inputs_are_read_once_and_delivered_to_every_die_of_the_line() -> None:
    method, blocks = _blocks(mesh=Mesh(2, 4), gather_again=False)
    again, _ = _blocks(mesh=Mesh(2, 4))
    kept = _traffic(blocks[1], method)[1]
    anew = _traffic(blocks[1], again)[1]
    assert kept.dram == anew.dram
    assert kept.per_die - anew.per_die == pytest.approx(100 * 2 * (4 * 96 + 2 * 200) / 8)


def test_weights_are_stored_once_and_replicated_on_dies() -> None:
    method, blocks = _blocks(mesh=Mesh(2, 4))
    stored, per_die = weight_bytes(blocks[0], method)
    assert stored == 2 * MODEL.attention_weights
    assert per_die * 8 == 2 * 96 * (96 + 2 * 4 * 12 + 96)


def test_what_is_written_is_a_part_of_what_a_die_moves() -> None:
    """Forward a fused block writes its output and what is saved, backward the gradient of its input."""
    method, blocks = _blocks(recompute="selective")
    forward, backward = _traffic(blocks[1], method)
    assert forward.written == pytest.approx(100 * 2 * (96 + SAVED_FFN) / 4)
    assert backward.written == pytest.approx(100 * 2 * 96 / 4)
    update = update_traffic(1000, "adam", 2, 4)
    assert (update.dram, update.per_die, update.written) == (30e3, 7.5e3, 3.5e3)


def test_the_slower_of_dram_and_memory_plane_sets_the_time() -> None:
    mesh = Mesh(2, 2)  # eight sides on the edge, eight DDR5 channels
    traffic = DramTraffic.shared(6e9, 2e9, 4)
    plane = memory_plane(PACKAGE, mesh)
    assert traffic.dram_seconds(PACKAGE, mesh) == pytest.approx(1e9 / 51.2e9)
    assert traffic.dram_seconds(package("memory.efficiency=0.5"), mesh) == pytest.approx(2e9 / 51.2e9)
    assert traffic.plane_seconds(plane) == plane.seconds(1.5e9, 0.5e9)
    slow_links, slow_memory = package("link.lanes=1"), package("memory.channel_bytes_per_second=1e6")
    slow = memory_plane(slow_links, mesh)
    assert traffic.seconds(slow_links, mesh, slow) == traffic.plane_seconds(slow)
    assert traffic.seconds(slow_memory, mesh, plane) == pytest.approx(1e9 / 1e6)
    assert DramTraffic(1.0, 2.0, 1.0) + DramTraffic(3.0, 4.0) == DramTraffic(4.0, 6.0, 1.0)
