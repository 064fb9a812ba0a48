"""What a compiled step takes on each die: commands, words of the memory and of the scratchpad, operand buffers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from chiplet.machine.specs import SystemSpec, scratchpad_depth
from cosim.compile.compiled_step import Buffer, CompiledStep, DieProgram
from cosim.compile.ordering.die_steps import AddressSpace
from rtl.interface.isa import Opcode, Side

__all__ = ["BufferUse", "DieSizes", "HeldBuffer", "MemoryWords", "ScratchpadPeak", "die_sizes", "peak"]

OPERAND_BUFFERS: tuple[AddressSpace, ...] = ("activation", "weight", "accumulator")


@dataclass(frozen=True, kw_only=True)
class BufferUse:
    """A buffer of a die: addresses that a program takes, from 0 up to the last one in use, and those that are there."""

    used: int
    available: int


@dataclass(frozen=True, kw_only=True)
class HeldBuffer:
    """A tensor in the scratchpad, and its words; ``layer`` and ``tile`` are null for one that all share."""

    name: str
    layer: int | None
    tile: int | None
    words: int


@dataclass(frozen=True, kw_only=True)
class ScratchpadPeak:
    """The step at which a scratchpad holds most.

    Attributes
    ----------
    step
        Number of the first such step.
    operator
        What it belongs to.
    words
        Words of all tensors that are held then.
    held
        These tensors, the largest first.
    """

    step: int
    operator: str
    words: int
    held: list[HeldBuffer]


@dataclass(frozen=True, kw_only=True)
class MemoryWords:
    """Words that a die takes of the memory behind its IO die: of tensors, constants, and its program."""

    tensors: int
    constants: int
    program: int


@dataclass(frozen=True, kw_only=True)
class DieSizes:
    """What a program takes on its die.

    Attributes
    ----------
    row, col
        The die.
    io_die
        The IO die in front of its memory.
    commands
        Commands of each unit, by the name of the command, and the side of an engine.
    program_word
        Memory word of the first command; the program may lie anywhere else that is free.
    program_bytes
        Bytes of the program.
    memory_words
        What lies in the memory.
    buffers
        Words of the scratchpad, and addresses of the operand buffers, by name.
    peak
        When the scratchpad holds most, and what; null if it holds nothing.
    """

    row: int
    col: int
    io_die: str
    commands: dict[str, int]
    program_word: int
    program_bytes: int
    memory_words: MemoryWords
    buffers: dict[str, BufferUse]
    peak: ScratchpadPeak | None


def die_sizes(compiled: CompiledStep) -> list[DieSizes]:
    """What each die takes, in the order of their numbers."""
    system = compiled.system
    sizes = []
    for number, (die, words) in enumerate(zip(compiled.dies, compiled.program_words, strict=True)):
        row, col = divmod(number, system.package.cols)
        sizes.append(
            DieSizes(
                row=row,
                col=col,
                io_die=die.io_die,
                commands=_commands(die),
                program_word=words.start,
                program_bytes=len(words) * system.memory.word_bytes,
                memory_words=MemoryWords(
                    tensors=sum(len(tensor.words) for tensor in die.memory.values()),
                    constants=len(set(die.constants.values())),
                    program=len(words),
                ),
                buffers=_buffers(die, system),
                peak=peak(die),
            )
        )
    return sizes


def _commands(die: DieProgram) -> dict[str, int]:
    counts = Counter(
        (command.opcode, command.fields.get("side", -1) if _engine(command.opcode) else -1)
        for command in die.commands
    )
    return {
        opcode.name if side < 0 else f"{opcode.name} {Side(side).name.lower()}": count
        for (opcode, side), count in sorted(counts.items())
    }


def _engine(opcode: Opcode) -> bool:
    return opcode in (Opcode.SEND, Opcode.RECEIVE)


def _buffers(die: DieProgram, system: SystemSpec) -> dict[str, BufferUse]:
    spec = system.die
    available: dict[AddressSpace, int] = {
        "scratchpad": scratchpad_depth(spec, system.memory, system.nop),
        "activation": spec.activation_depth,
        "weight": spec.weight_depth,
        "accumulator": spec.accumulator_depth,
    }
    used: dict[str, int] = defaultdict(int)
    for step in die.steps:
        for touch in step.touches:
            end = touch.first + (touch.rows - 1) * touch.pitch + touch.words
            used[touch.space] = max(used[touch.space], end)
    used["scratchpad"] = max([used["scratchpad"], *(buffer.end for buffer in die.scratchpad)])
    return {name: BufferUse(used=used[name], available=there) for name, there in available.items()}


def peak(die: DieProgram) -> ScratchpadPeak | None:
    """When the scratchpad of ``die`` holds most, and what; None if it holds nothing."""
    changes: dict[int, int] = defaultdict(int)
    for buffer in die.scratchpad:
        changes[buffer.first_step] += buffer.words
        changes[buffer.last_step + 1] -= buffer.words
    held = most = at = 0
    for step in sorted(changes):
        held += changes[step]
        if held > most:
            most, at = held, step
    if not most:
        return None
    there = [buffer for buffer in die.scratchpad if buffer.first_step <= at <= buffer.last_step]
    return ScratchpadPeak(step=at, operator=die.steps[at].label, words=most, held=_held(there))


def _held(buffers: Sequence[Buffer]) -> list[HeldBuffer]:
    """Tensors of buffers with their words, the largest first."""
    words: dict[tuple[str, int | None, int | None], int] = defaultdict(int)
    for buffer in buffers:
        words[buffer.name, buffer.layer, buffer.tile] += buffer.words
    return [
        HeldBuffer(name=name, layer=layer, tile=tile, words=count)
        for (name, layer, tile), count in sorted(words.items(), key=lambda entry: -entry[1])
    ]
