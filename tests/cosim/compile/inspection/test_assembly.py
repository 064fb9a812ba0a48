"""Assembly says all of a program: the same commands come out of its text, and its names are those of the tensors."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chiplet.layout.storage import matrix_storage, value_storage
from cosim.compile.compiled_step import Buffer, StoredTensor
from cosim.compile.inspection.assembly import assembly
from cosim.compile.ordering.die_steps import DieStep
from cosim.program.command import Command
from cosim.program.shape import Shape
from rtl.interface.isa import FIELDS, SET_PLACES, Opcode
from tests.cosim.compile.inspection.hand_made import compiled_of, die_of, gemm_step, step_of
from tests.cosim.packages import system

ONE_DIE = system(1, 1, dtype="bf16")
MOST = {"op1": 5, "function": 5, "op2": 4, "reduction": 2, "result": 2, "keep": 2}
"""Largest values of fields that have fewer meanings than bits."""
COUNTS = ("rows", "cols", "words", "panels", "last_cols", "m", "k_tiles", "last_k", "chunks", "flits")


@st.composite
def commands(draw: st.DrawFn) -> Command:
    opcode = draw(st.sampled_from(Opcode))
    fields = {}
    for name, (width, _) in FIELDS[opcode].items():
        if name == "opcode":
            continue
        if name in COUNTS:
            fields[name] = draw(st.integers(1, 5))
        elif draw(st.booleans()):
            fields[name] = draw(st.integers(0, MOST.get(name, (1 << width) - 1)))
    return Command(opcode, fields)


def read(text: str) -> list[Command]:
    """The commands of a program's text."""
    found: list[Command] = []
    for line in text.splitlines():
        if not line.startswith(";"):
            match = re.match(r" *(\d+) (\w+) ", line)
            assert match is not None
            assert int(match[1]) == len(found)
            fields = {name: int(value) for name, value in re.findall(r" (\w+)=(\d+)", line)}
            found.append(Command(Opcode[match[2]], fields))
    return found


def same(a: Sequence[Command], b: Sequence[Command]) -> bool:
    return [(c.opcode, c.all_fields) for c in a] == [(c.opcode, c.all_fields) for c in b]


@given(st.lists(commands(), max_size=6))
def test_all_fields_of_all_commands_are_in_the_text(program: list[Command]) -> None:
    buffers = [Buffer(name="x", word=0, words=1 << 19, first_step=0, last_step=2)]
    text = assembly(compiled_of(ONE_DIE, [die_of(program, scratchpad=buffers)]), 0)
    assert same(read(text), program)


def test_programs_of_a_package_come_out_of_their_texts() -> None:
    compiled = gemm_step(system(2, 2, dtype="bf16"), Shape(m=5, k=7, n=9))
    for number, die in enumerate(compiled.dies):
        assert same(read(assembly(compiled, number)), die.commands)


def lines_of(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_words_have_the_names_of_tensors_and_semaphores_those_of_units() -> None:
    program = [
        Command(Opcode.SET, {"semaphore_0": 3, "value_0": 2}),
        Command(
            Opcode.LOAD,
            {"base": 4, "pitch": 2, "rows": 3, "words": 2, "address": 102, "memory_pitch": 2, "post_0": 1},
        ),
        Command(Opcode.LOAD, {"base": 20, "rows": 1, "words": 1, "address": 90, "post_0": 1}),
        Command(
            Opcode.VECTOR,
            {
                "op1": 3, "a": 6, "a_spread": 3, "a_pitch": 2, "b": 20, "function": 1, "negate": 1, "op2": 1, "d": 20,
                "reduction": 1, "row": 30, "rows": 2, "cols": 8, "wait_0": 1, "post_1": 2,
            },
        ),
        Command(Opcode.FEED_WEIGHT, {"source": 4, "rows": 2, "cols": 4, "words": 1, "pitch": 2, "wait_0": 2}),
        Command(
            Opcode.GEMM,
            {"m": 2, "k_tiles": 2, "last_k": 1, "panels": 1, "last_cols": 2, "accumulate": 1, "post_0": 3},
        ),
        Command(
            Opcode.DRAIN,
            {"rows": 2, "panels": 2, "last_cols": 1, "target": 31, "cast": 1, "panel_wait": 3, "post_0": 7},
        ),
        Command(
            Opcode.RECEIVE,
            {"side": 1, "forwarded": 2, "chunks": 2, "flits": 3, "base": 4},
        ),
        Command(Opcode.SEND, {"side": 2, "chunks": 1, "flits": 3, "base": 31, "target": 2}),
    ]  # fmt: skip
    labels = ["w", "rate", "exp", "y L0", "y L0", "y L0", "", ""]
    steps = [step_of(command, label) for command, label in zip(program[1:], labels, strict=True)]
    die = die_of(
        program,
        steps=steps,
        memory=[
            StoredTensor(name="w", layer=1, storage=matrix_storage("bf16", 16, 4, [5, 12], 100)),
            StoredTensor(name="labels", tile=0, storage=value_storage("int32", 16, 5, 116)),
        ],
        scratchpad=[
            Buffer(name="w", layer=1, word=4, words=6, first_step=0, last_step=1),
            Buffer(name="rate", word=20, words=1, first_step=1, last_step=2),
            Buffer(name="sums", tile=3, word=30, words=1, first_step=2, last_step=2),
            Buffer(name="x", layer=0, tile=1, word=4, words=2, first_step=3, last_step=6),
            Buffer(name="y", layer=0, tile=1, word=31, words=4, first_step=5, last_step=7),
        ],
        constants={("sgd", "rate"): 90, ("", "zero"): 91},
    )
    lines = lines_of(assembly(compiled_of(ONE_DIE, [die]), 0))
    head = [line for line in lines if line.startswith(";")]
    assert head == [
        "; die (0, 0) of 1 x 1, array of 2 x 3 bf16",
        "; words of 16 bytes, memory behind io_west_0",
        "; program of 9 commands in memory words 0 to 17",
        "; memory words 100 to 111: w L1: 4 x 17 bf16, pitch 3",
        "; memory words 116 to 117: labels T0: 5 values of int32",
        "; memory word 90: constant rate of sgd",
        "; memory word 91: constant zero",
    ]
    assert (
        lines[len(head) :]
        == """\
0 SET 1 semaphores semaphore_0=3(to DRAIN) value_0=2
1 LOAD 3 x 2 words post_0=1(to VECTOR) base=4(w L1 + 0) pitch=2 rows=3 words=2 address=102(w L1 + 2) memory_pitch=2 ; w
2 LOAD 1 x 1 words post_0=1(to VECTOR) base=20(rate + 0) rows=1 words=1 address=90(constant rate of sgd) ; rate
3 VECTOR 2 x 8 exp(-(a * b)) + d, row sum wait_0=1(from LOAD) post_1=2(to FEED_WEIGHT) op1=3 function=1 negate=1 op2=1 \
reduction=1 a=6 a_pitch=2 a_spread=3 b=20(rate + 0) d=20(rate + 0) row=30(sums T3 + 0) rows=2 cols=8 ; exp
4 FEED_WEIGHT 2 x 4 wait_0=2(from VECTOR) pitch=2 rows=2 cols=4 words=1 source=4(x L0 T1 + 0) ; y L0
5 GEMM 2 x 3 x 2, adds post_0=3(to DRAIN) accumulate=1 m=2 k_tiles=2 last_k=1 panels=1 last_cols=2 ; y L0
6 DRAIN 2 x 4 bf16 post_0=7(to none) panel_wait=3(from GEMM) rows=2 panels=2 last_cols=1 target=31(y L0 T1 + 0) cast=1 \
; y L0
7 RECEIVE 2 x 3 flits side=1(east) forwarded=2 base=4 chunks=2 flits=3
8 SEND 1 x 3 flits side=2(south) target=2 base=31(y L0 T1 + 0) chunks=1 flits=3
""".splitlines()
    )


def test_sides_of_the_engine_are_units() -> None:
    program = [
        Command(Opcode.RECEIVE, {"side": 3, "chunks": 1, "flits": 1, "post_0": 5}),
        Command(Opcode.RECEIVE, {"side": 1, "chunks": 1, "flits": 1, "post_0": 5}),
        Command(Opcode.SEND, {"side": 0, "chunks": 1, "flits": 1, "wait_0": 5}),
    ]
    lines = lines_of(assembly(compiled_of(ONE_DIE, [die_of(program)]), 0))[-3:]
    assert "post_0=5(to SEND NORTH)" in lines[0]
    assert "wait_0=5(from RECEIVE EAST or RECEIVE WEST)" in lines[2]


def test_a_step_without_its_command_is_named() -> None:
    load = Command(Opcode.LOAD, {"rows": 1, "words": 1})
    lost = DieStep(Opcode.STORE, {"rows": 2, "words": 1}, (), "store L0")
    die = die_of([load, load], steps=[step_of(load), lost])
    with pytest.raises(ValueError, match=r"step 1 \(STORE, store L0\) has no command"):
        assembly(compiled_of(ONE_DIE, [die]), 0)


def test_places_of_a_set_are_counted() -> None:
    fields = {f"semaphore_{place}": place + 1 for place in range(SET_PLACES)}
    text = assembly(compiled_of(ONE_DIE, [die_of([Command(Opcode.SET, fields)], steps=[])]), 0)
    assert f"{SET_PLACES} semaphores" in text
