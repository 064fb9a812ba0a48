"""Readable assembly of a die's program: every field of every command, with the tensors and units that they mean.

A line is number, command, size, fields, and behind ``;`` the operator. A field is ``name=value``, as in
:mod:`rtl.interface.isa`; those that are left out are 0. What is in parentheses behind a value explains it: the tensor
at a word, and how many words it has before that one; the units that post a semaphore, or wait for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from chiplet.machine.specs import DieSpec
from cosim.compile.compiled_step import Buffer, CompiledStep, DieProgram, StoredTensor
from cosim.program.checker.queue_run import QueuedProgram
from cosim.program.command import Command
from rtl.control.command_processor import UNITS
from rtl.interface.isa import SET_PLACES, Opcode, Side
from rtl.interface.vector_operations import FirstOp, Function, Reduction, SecondOp

__all__ = ["assembly"]

_TAKES = ("wait_0", "wait_1", "wait_2", "panel_wait", "row_wait", "word_wait")
_POSTS = ("post_0", "post_1", "panel_post", "row_post", "word_post")
_SCRATCHPAD = {
    Opcode.LOAD: ("base",),
    Opcode.STORE: ("base",),
    Opcode.FEED_ACTIVATION: ("source",),
    Opcode.FEED_WEIGHT: ("source",),
    Opcode.FEED_SUMS: ("source",),
    Opcode.DRAIN: ("target",),
    Opcode.SEND: ("base",),
    Opcode.RECEIVE: ("base",),
    Opcode.VECTOR: ("a", "b", "d", "y", "row"),
}
"""Fields that are a word of the scratchpad."""

_FIRST = {
    FirstOp.NONE: "a", FirstOp.ADD: "a + b", FirstOp.SUB: "a - b", FirstOp.MUL: "a * b", FirstOp.MAX: "max(a, b)",
    FirstOp.PICK: "pick(a, b)",
}  # fmt: skip
_FUNCTION = {
    Function.EXP: "exp", Function.EXP2: "exp2", Function.RECIP: "1 / ", Function.RSQRT: "rsqrt", Function.LOG: "log",
}  # fmt: skip
_SECOND = {
    SecondOp.NONE: "{}", SecondOp.ADD: "{} + d", SecondOp.SUB: "{} - d", SecondOp.MUL: "{} * d",
    SecondOp.RSUB: "d - {}",
}  # fmt: skip
_REDUCTION = {Reduction.NONE: "", Reduction.SUM: ", row sum", Reduction.MAX: ", row max"}


def assembly(compiled: CompiledStep, number: int) -> str:
    """The program of die ``number`` as text, with what lies in its memory.

    Raises
    ------
    ValueError
        If a step has no command.
    """
    die, system = compiled.dies[number], compiled.system
    row, col = divmod(number, system.package.cols)
    words = compiled.program_words[number]
    size, package = system.die, system.package
    lines = [
        f"; die ({row}, {col}) of {package.rows} x {package.cols}, array of {size.rows} x {size.cols} {size.dtype}",
        f"; words of {system.memory.word_bytes} bytes, memory behind {die.io_die}",
        f"; program of {len(die.commands)} commands in memory words {_span(words)}",
        *_memory(die),
    ]
    text = _Text(die, size)
    for place, (command, step) in enumerate(zip(die.commands, die.step_numbers(), strict=True)):
        lines.append(text.line(place, command, step))
    return "\n".join(lines) + "\n"


def _memory(die: DieProgram) -> Iterator[str]:
    """Lines that say what lies in the memory."""
    for tensor in sorted(die.memory.values(), key=lambda tensor: tensor.words.start):
        storage = tensor.storage
        if storage.values:
            shape = f"{storage.rows} values of {storage.element}"
        else:
            shape = f"{storage.rows} x {storage.cols} {storage.element}, pitch {storage.pitch}"
        yield f"; memory words {_span(tensor.words)}: {tensor.text}: {shape}"
    for (program, name), word in sorted(die.constants.items(), key=lambda entry: entry[1]):
        yield f"; memory word {word}: {_constant(program, name)}"


def _constant(program: str, name: str) -> str:
    """A constant of a vector program, or of none, as people read it."""
    return f"constant {name} of {program}" if program else f"constant {name}"


def _span(words: range) -> str:
    return f"{words.start} to {words.stop - 1}"


class _Text:
    """Lines of a program, one after the other."""

    def __init__(self, die: DieProgram, spec: DieSpec) -> None:
        self._die, self._spec = die, spec
        self._coming = sorted(die.scratchpad, key=lambda buffer: buffer.first_step, reverse=True)
        self._live: list[Buffer] = []
        self._tensors = list(die.memory.values())
        self._constants = {word: _constant(*key) for key, word in die.constants.items()}
        queues = QueuedProgram(die.commands, queue_depth=spec.queue_depth)
        self._takers, self._posters = queues.waits, queues.posts

    def line(self, place: int, command: Command, step: int | None) -> str:
        """The command with number ``place``, which is that of a step or of none."""
        label = ""
        if step is not None:
            label = self._die.steps[step].label
            self._advance(step)
        fields = command.all_fields
        shown = []
        for name, value in fields.items():
            meaning = self._meaning(command.opcode, name, fields)
            if value or meaning:
                shown.append(f"{name}={value}" + (f"({meaning})" if meaning else ""))
        head = f"{place:6} {command.opcode.name:15} {_size(command.opcode, fields, self._spec):22}"
        return f"{head} {' '.join(shown)}" + (f"  ; {label}" if label else "")

    def _advance(self, step: int) -> None:
        """Keep the buffers that are used up to ``step`` or behind it."""
        self._live = [buffer for buffer in self._live if buffer.last_step >= step]
        while self._coming and self._coming[-1].first_step <= step:
            self._live.append(self._coming.pop())

    def _meaning(self, opcode: Opcode, name: str, fields: Mapping[str, int]) -> str:
        """What the value of a field means, or nothing."""
        value = fields[name]
        if name in _TAKES:
            return _units("from", self._posters.get(value, ())) if value else ""
        if name in _POSTS or (opcode == Opcode.SET and name.startswith("semaphore_")):
            return _units("to", self._takers.get(value, ())) if value else ""
        if name in _SCRATCHPAD.get(opcode, ()) and _used(opcode, name, fields):
            return _place(value, self._live)
        if name == "address":
            return self._constants.get(value) or _memory_place(value, self._tensors)
        if name == "side":
            return Side(value).name.lower()
        return ""


def _units(way: str, units: Collection[str]) -> str:
    return f"{way} {' or '.join(sorted(map(_command_name, units))) or 'none'}"


def _command_name(unit: str) -> str:
    """What a unit carries out, with the side of an engine's unit."""
    opcode = UNITS.get(unit)
    return unit.replace("_", " ").upper() if opcode is None else opcode.name


def _used(opcode: Opcode, name: str, fields: Mapping[str, int]) -> bool:
    """Whether a command reads or writes the words of a field that is a word of the scratchpad."""
    if opcode == Opcode.VECTOR:
        return {
            "a": True,
            "b": fields["op1"] != FirstOp.NONE,
            "d": fields["op2"] != SecondOp.NONE,
            "y": fields["result"] > 0,
            "row": fields["reduction"] != Reduction.NONE,
        }[name]
    if opcode == Opcode.SEND:
        return not fields["forward"] or fields["own"] > 0
    if opcode == Opcode.RECEIVE:
        every = fields["forwarded"] == fields["chunks"]
        return bool(fields["add"] or fields["keep"]) or not (every or fields["hand"])
    return True


def _place(word: int, live: list[Buffer]) -> str:
    """The buffer at a word of the scratchpad."""
    for buffer in live:
        if buffer.word <= word < buffer.end:
            return f"{buffer.text} + {word - buffer.word}"
    return ""


def _memory_place(word: int, tensors: list[StoredTensor]) -> str:
    """The tensor at a word of the memory."""
    for tensor in tensors:
        if word in tensor.words:
            return f"{tensor.text} + {word - tensor.words.start}"
    return ""


def _size(opcode: Opcode, fields: Mapping[str, int], die: DieSpec) -> str:
    """How much a command does, or what it computes."""
    match opcode:
        case Opcode.SET:
            return f"{sum(fields[f'semaphore_{place}'] > 0 for place in range(SET_PLACES))} semaphores"
        case Opcode.LOAD | Opcode.STORE:
            return f"{fields['rows']} x {fields['words']} words"
        case Opcode.FEED_ACTIVATION | Opcode.FEED_WEIGHT:
            return f"{fields['rows']} x {fields['cols']}"
        case Opcode.FEED_SUMS | Opcode.DRAIN:
            cast = "bf16" if fields.get("cast") else "sums"
            return f"{fields['rows']} x {_cols(fields, die)} {cast}"
        case Opcode.GEMM:
            k = (fields["k_tiles"] - 1) * die.rows + fields["last_k"]
            return f"{fields['m']} x {k} x {_cols(fields, die)}" + (", adds" if fields["accumulate"] else "")
        case Opcode.VECTOR:
            return f"{fields['rows']} x {fields['cols']} {_formula(fields)}"
    return f"{fields['chunks']} x {fields['flits']} flits"


def _cols(fields: Mapping[str, int], die: DieSpec) -> int:
    return (fields["panels"] - 1) * die.cols + fields["last_cols"]


def _formula(fields: Mapping[str, int]) -> str:
    """What a pass computes of its operands."""
    text = _FIRST[FirstOp(fields["op1"])]
    if fields["negate"]:
        text = f"-{text}" if text == "a" else f"-({text})"
    function = _FUNCTION.get(Function(fields["function"]))
    if function is not None:
        text = f"{function}({text})"
    elif text != "a" and fields["op2"]:
        text = f"({text})"
    return _SECOND[SecondOp(fields["op2"])].format(text) + _REDUCTION[Reduction(fields["reduction"])]
