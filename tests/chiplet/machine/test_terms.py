"""Terms of the array."""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chiplet.machine.terms import GemmTerms, floor_cycles
from nop.terms import FIT_SLACK

SIZE = st.integers(1, 300)


@given(rows=st.integers(1, 64), cols=st.integers(1, 64), stages=st.integers(1, 4), m=SIZE, k=SIZE, n=SIZE)
def test_default_terms_are_the_floor_and_the_accumulator_adder(
    rows: int, cols: int, stages: int, m: int, k: int, n: int
) -> None:
    floor = rows + ceil(k / rows) * ceil(n / cols) * max(m, rows, stages) + rows * stages + cols - 2
    assert floor_cycles(rows=rows, cols=cols, stages=stages, m=m, k=k, n=n) == floor
    idle = max(m, rows, stages) - m  # the last tile ends with its rows: there is no next one to load
    found = GemmTerms().array_cycles(rows=rows, cols=cols, stages=stages, m=m, k=k, n=n)
    assert found == floor - idle + stages + 1


def test_the_known_case() -> None:
    assert floor_cycles(rows=16, cols=16, stages=1, m=128, k=256, n=256) == 32_814


@pytest.mark.parametrize("name", ["rows", "cols", "stages", "m", "k", "n"])
def test_sizes_below_one_are_refused(name: str) -> None:
    sizes = dict.fromkeys(("rows", "cols", "stages", "m", "k", "n"), 4) | {name: 0}
    with pytest.raises(ValueError, match=f"^{name} = 0: must be at least 1$"):
        GemmTerms().array_cycles(**sizes)


@given(
    terms=st.fixed_dictionaries(
        {
            name: st.floats(
                *(
                    next(getattr(bound, side) for bound in field.metadata if hasattr(bound, side))
                    for side in ("ge", "le")
                )
            )
            for name, field in GemmTerms.model_fields.items()
        }
    ),
    sizes=st.tuples(SIZE, SIZE, SIZE),
    array=st.tuples(st.integers(1, 64), st.integers(1, 64), st.integers(1, 4)),
)
def test_no_terms_that_are_allowed_beat_a_row_a_cycle(
    terms: dict[str, float], sizes: tuple[int, int, int], array: tuple[int, int, int]
) -> None:
    ends = terms["constant"] + sum(terms[name] for name in terms if name.startswith(("fill", "drain")))
    assume(ends + terms["per_row"] > 1.001)  # others are refused, see test_calibration.py
    allowed = GemmTerms(**terms)
    (m, k, n), (rows, cols, stages) = sizes, array
    tiles = ceil(k / rows) * ceil(n / cols)
    found = allowed.array_cycles(rows=rows, cols=cols, stages=stages, m=m, k=k, n=n)
    assert found >= (1 - FIT_SLACK) * tiles * m - FIT_SLACK * tiles
