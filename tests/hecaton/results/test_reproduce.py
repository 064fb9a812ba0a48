"""Commands as a shell takes them."""

from __future__ import annotations

from pathlib import Path

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.records.gemm import GemmRequest
from hecaton.results.reproduce import command, gemm_command


def test_words_are_quoted() -> None:
    assert command("compare", "--dies", 16) == "hecaton compare --dies 16"
    assert command("show", "a b", into=Path("c d/e")) == "hecaton show 'a b' > 'c d/e'"


def test_what_differs_from_the_defaults_is_named() -> None:
    request = GemmRequest(m=3, k=4, n=5, die=DieSpec(), memory=MemorySpec())
    assert gemm_command(request, Path("records")) == (
        "hecaton cosim gemm --m 3 --k 4 --n 5 --records records"
    )
    other = GemmRequest(
        m=3,
        k=4,
        n=5,
        form="tn",
        die=DieSpec(rows=2, dtype="int8"),
        memory=MemorySpec(kind="DDR5 of mine", channels_per_edge_die=0.5),
        seed=7,
        stall=0.25,
        interval=2,
        operands="special",
    )
    assert gemm_command(other, Path("my records")) == (
        "hecaton cosim gemm --m 3 --k 4 --n 5 --form tn --stall 0.25 --interval 2 --operands special --seed 7 "
        "-P die.rows=2 -P die.dtype=int8 -P 'memory.kind=DDR5 of mine' -P memory.channels_per_edge_die=0.5 "
        "--records 'my records'"
    )


def test_text_that_reads_as_another_value_is_quoted() -> None:
    request = GemmRequest(m=1, k=1, n=1, die=DieSpec(), memory=MemorySpec(kind="5"))
    assert "-P 'memory.kind=\"5\"'" in gemm_command(request, Path("r"))
