"""What programs take: commands, words and addresses that are counted, and the step at which a scratchpad is fullest."""

from __future__ import annotations

from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from chiplet.layout.storage import matrix_storage
from chiplet.machine.specs import scratchpad_depth
from cosim.compile.compiled_step import Buffer, StoredTensor
from cosim.compile.inspection.program_sizes import BufferUse, MemoryWords, die_sizes, peak
from cosim.compile.ordering.die_steps import DieStep, Touch
from cosim.program.command import Command
from cosim.program.layout import Places
from rtl.interface.isa import Opcode
from tests.cosim.compile.inspection.hand_made import compiled_of, die_of, step_of
from tests.cosim.packages import system

NOTHING = DieStep(Opcode.LOAD, {"rows": 1, "words": 1}, (), "nothing")


@st.composite
def buffers(draw: st.DrawFn) -> list[Buffer]:
    made = []
    for name in draw(st.lists(st.sampled_from("abc"), max_size=12)):
        first = draw(st.integers(0, 9))
        made.append(
            Buffer(
                name=name,
                tile=draw(st.sampled_from([None, 0])),
                word=0,
                words=draw(st.integers(1, 9)),
                first_step=first,
                last_step=draw(st.integers(first, 9)),
            )
        )
    return made


@given(buffers())
def test_the_peak_is_that_of_all_steps_looked_at_one_by_one(scratchpad: list[Buffer]) -> None:
    die = die_of([], steps=[NOTHING] * 10, scratchpad=scratchpad)
    held = [
        [buffer for buffer in scratchpad if buffer.first_step <= step <= buffer.last_step]
        for step in range(10)
    ]
    words = [sum(buffer.words for buffer in of) for of in held]
    found = peak(die)
    if not scratchpad:
        assert found is None
        return
    assert found is not None
    assert (found.words, found.step) == (max(words), words.index(max(words)))
    assert sum(tensor.words for tensor in found.held) == found.words
    names = {(tensor.name, tensor.tile): tensor.words for tensor in found.held}
    assert len(names) == len(found.held)
    for buffer in held[found.step]:
        there = [b.words for b in held[found.step] if (b.name, b.tile) == (buffer.name, buffer.tile)]
        assert names[buffer.name, buffer.tile] == sum(there)
    assert [t.words for t in found.held] == sorted((t.words for t in found.held), reverse=True)


def test_each_die_has_its_sizes() -> None:
    of = system(1, 2, "west", dtype="bf16")
    load = Command(Opcode.LOAD, {"rows": 2, "words": 3, "pitch": 5, "base": 10})
    send = Command(Opcode.SEND, {"side": 1, "chunks": 1, "flits": 1, "target": 2})
    first = die_of(
        [Command(Opcode.SET, {}), load, load, send],
        steps=[
            step_of(load, "load", None, Touch("scratchpad", 10, 3, 2, 5, True), Touch("weight", 3, 4)),
            step_of(load, "load", None, Touch("weight", 1, 1, 4, 2)),
            step_of(send, "send", 0),
        ],
        memory=[StoredTensor(name="w", storage=matrix_storage("fp32", 16, 3, [5], 20))],
        scratchpad=[Buffer(name="w", word=10, words=10, first_step=0, last_step=1)],
        constants={("sgd", "rate"): 26, ("adam", "rate"): 26, ("sgd", "one"): 27},
    )
    second = die_of([send])
    sizes = die_sizes(compiled_of(of, [first, second], Places({"io_west_0": 28})))
    assert [(die.row, die.col, die.io_die) for die in sizes] == [(0, 0, "io_west_0"), (0, 1, "io_west_0")]
    assert sizes[0].commands == {"SET": 1, "LOAD": 2, "SEND east": 1}
    assert sizes[0].memory_words == MemoryWords(tensors=6, constants=2, program=8)
    # A command takes two words of 16 bytes. Programs lie one behind the other, behind what is taken.
    assert [(die.program_word, die.program_bytes) for die in sizes] == [(28, 128), (36, 32)]
    depth = scratchpad_depth(of.die, of.memory, of.nop)
    assert sizes[0].buffers["scratchpad"] == BufferUse(used=20, available=depth)
    assert sizes[0].buffers["weight"] == BufferUse(used=8, available=of.die.weight_depth)
    assert sizes[0].buffers["accumulator"].used == 0
    found = sizes[0].peak
    assert found is not None
    assert asdict(found) == {
        "step": 0,
        "operator": "load",
        "words": 10,
        "held": [{"name": "w", "layer": None, "tile": None, "words": 10}],
    }
    assert sizes[1].peak is None
