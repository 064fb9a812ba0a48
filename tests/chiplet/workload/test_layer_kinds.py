"""Layers of several kinds: which are alike, and which follow each other."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.workload.experts import Experts
from chiplet.workload.layer_kinds import neighbours
from tests.chiplet.machines import small_model

NUMBERS = st.sets(st.integers(0, 6), max_size=6)


@given(full=NUMBERS, dense=NUMBERS)
def test_every_layer_is_of_one_kind_and_has_what_it_says(full: set[int], dense: set[int]) -> None:
    experts = Experts(count=4, active=2, ffn=100)
    model = small_model(
        layers=7, window=16, experts=experts, full_layers=tuple(full), dense_layers=tuple(dense)
    )
    for kinds, lacking, part in (
        (model.attention_kinds, full, "window"),
        (model.ffn_kinds, dense, "experts"),
    ):
        assert sorted(number for kind in kinds for number in kind.numbers) == list(range(7))
        assert [min(kind.numbers) for kind in kinds] == sorted(min(kind.numbers) for kind in kinds)
        for kind in kinds:
            assert (getattr(kind.layer, part) is None) == (min(kind.numbers) in lacking)
            assert len({number in lacking for number in kind.numbers}) == 1
    beside = neighbours(7, model.attention_kinds, model.ffn_kinds)
    order = [
        next(kind.label for kind in kinds if number in kind.numbers)
        for number in range(7)
        for kinds in (model.attention_kinds, model.ffn_kinds)
    ]
    pairs = set(pairwise(order))
    assert {(one, other) for one, others in beside.items() for other in others} == pairs | {
        (other, one) for one, other in pairs
    }
    assert sum(model.parameters_of([number]) for number in range(7)) == model.parameters_of(range(7))


def test_a_copy_has_kinds_of_its_own() -> None:
    model = small_model(window=16, full_layers=(1,))
    assert model.attention_kinds[0].layer.kv_heads == 2
    copied = model.model_copy(update={"kv_heads": 4})
    assert copied.attention_kinds[0].layer.kv_heads == copied.ffn_kinds[0].layer.kv_heads == 4


@pytest.mark.parametrize("changes", [{"full_layers": (0,)}, {"window": 8, "full_layers": (0, 1)}])
def test_layers_that_differ_in_nothing_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="full_layers: must be some of 2 layers"):
        small_model(**changes)


def test_layers_without_positions_turn_nothing() -> None:
    model = small_model(window=16, full_layers=(1,), full_without_positions=True, qk_norm="unweighted")
    near, far = (kind.layer for kind in model.attention_kinds)
    assert (near.rotary_features, near.qk_norm) == (12, "unweighted")
    assert (far.rotary_features, far.qk_norm) == (0, "none")
