"""Checks of training: what programs receive is counted by purpose, and a text becomes tokens of the model."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.accept.hecaton_commands import ProbeError
from benchmarks.accept.training import FAULTS, MESHES, UNEVEN, moved
from benchmarks.accept.training_runs import Training
from benchmarks.accept.training_text import ALPHABET, reference_losses, text_tokens
from chiplet.graph.received_elements import flits_in_step
from chiplet.graph.training.sizes import ModelSizes
from rtl.interface.isa import Opcode

SHARED = ModelSizes(hidden=5, heads=3, kv_heads=1, head_dim=2, ffn=4, layers=1, vocab=6)


def test_programs_receive_the_flits_of_the_graph() -> None:
    compiled = Training(model=SHARED, rows=1, cols=2, length=3, batch=3, tiles=2).compiled()
    memory, nop = compiled.system.memory, compiled.system.nop
    graph = flits_in_step(
        compiled.graph, compiled.sizes.tile_shapes, word_bytes=memory.word_bytes, flit_bits=nop.flit_bits
    )
    found = moved(compiled)
    assert {purpose: sum(flits) for purpose, flits in graph.items()} == {
        purpose: found[purpose] for purpose in graph
    }
    assert found["replicas"] > 0
    first, *others = compiled.dies
    group = next(step.group for step in first.steps if step.label.startswith("attention.gather_x"))
    kept = [step for step in first.steps if step.opcode != Opcode.RECEIVE or step.group != group]
    with pytest.raises(ProbeError, match="attention.gather_x layer 0 tile 0: 1 collectives instead of 2"):
        moved(replace(compiled, dies=[replace(first, steps=kept), *others]))


def test_the_model_of_all_meshes_divides_nothing() -> None:
    for rows, cols, _ in MESHES:
        assert UNEVEN.heads not in (rows, cols)
        for size in (UNEVEN.hidden, UNEVEN.vocab):
            assert all(size % dies for dies in (rows, cols) if dies > 1)
    assert UNEVEN.kv_heads < max(cols for _, cols, _ in MESHES)
    assert "wires" in FAULTS


def test_a_text_becomes_tokens_and_the_next_ones() -> None:
    (tokens, again) = text_tokens(2)
    assert (tokens == again).all()
    assert tokens.shape == (4, 17)
    assert (tokens[:-1, -1] == tokens[1:, 0]).all()
    assert "".join(ALPHABET[letter] for letter in tokens[0]) == "a package of dies"
    losses = reference_losses(2)
    assert losses[1] < losses[0]
