"""What is known of a die while its operators are gone through: its tensors, their buffers, and the steps to come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from chiplet.graph.graph import Graph, Instance, TensorKey
from chiplet.graph.sharding import DiePlace
from chiplet.layout.line_uses import LineUses
from chiplet.layout.storage import Storage, layout_of
from chiplet.layout.words_to_clear import WordBlock, words_behind, words_of_ends, words_of_gaps
from chiplet.machine.chunks import whole_flits
from chiplet.machine.specs import SystemSpec
from cosim.compile.operators.vector_steps import clear_steps
from cosim.compile.ordering.die_steps import DieStep
from cosim.compile.places.buffers import Buffer
from cosim.compile.places.held import Held, held_in

__all__ = ["ZERO", "DieState"]

ZERO = ("", "zero")
"""The constant that clears words: of no program."""


@dataclass
class DieState:
    """A die while its operators are gone through, in their order.

    First come the buffers that operators need, and for how long. When all are known, the buffers get their words, and
    what was put into :attr:`steps` makes the steps.

    Attributes
    ----------
    system, graph
        The package, and what is compiled.
    place
        The die as it is in a token tile; None: in the largest one.
    memory
        What it has in memory: layouts whose runs are at memory words.
    constants
        Numbers of the constants by vector program and name; they lie one behind the other.
    held, buffers
        What it holds now, and all buffers so far.
    steps
        What makes its steps.
    groups
        Collectives so far.
    uses
        Which collectives take a tensor.
    """

    system: SystemSpec
    graph: Graph
    place: Callable[[int | None], DiePlace]
    memory: Mapping[TensorKey, Storage]
    constants: Mapping[tuple[str, str], int]
    held: dict[TensorKey, Held] = field(default_factory=dict)
    buffers: list[Buffer] = field(default_factory=list)
    steps: list[Callable[[], Iterable[DieStep]]] = field(default_factory=list)
    groups: int = 0

    def __post_init__(self) -> None:
        self.constant_words = self.buffer(TensorKey("constants"), len(self.constants), 0)
        self.uses = LineUses(self.graph)

    @property
    def word_bytes(self) -> int:
        """Bytes of a word."""
        return self.system.memory.word_bytes

    def whole_flits(self, words: int) -> int:
        """``words`` filled up to whole flits."""
        return whole_flits(words, self.system.nop, self.system.memory)

    def constant(self, key: tuple[str, str]) -> int:
        """Scratchpad word of a constant."""
        return self.constant_words.start + self.constants[key]

    # ---- tensors ----

    def get(self, number: int, name: str, instance: Instance) -> Held:
        """The tensor that operator ``number`` uses."""
        key = self.graph.key(name, instance)
        held = self.held.get(key) or self.held[key._replace(tile=None)]
        for buffer in held.buffers:
            buffer.touch(number)
        return held

    def buffer(self, key: TensorKey, words: int, number: int) -> Buffer:
        """A new buffer that operator ``number`` begins to use."""
        buffer = Buffer(*key, words=max(words, 1), first=number, last=number)
        self.buffers.append(buffer)
        return buffer

    def new(self, number: int, name: str, instance: Instance, *, clears: bool = False) -> Held:
        """A tensor that operator ``number`` writes anew, with room for what collectives add to its rows.

        ``clears``: its unit leaves the end of a word as it is, so that what is sent has to be cleared before.
        """
        die, tensor, key = self.place(instance.tile), self.graph.tensors[name], self.graph.key(name, instance)
        layout = layout_of(tensor, die, self.word_bytes)
        sent = self.uses.sent(name, die)
        if sent and name in self.uses.scatters and not layout.values:
            layout = replace(layout, pitch=self.whole_flits(layout.pitch))
        words = layout.taken(self.uses.capacity(name, die))
        held = held_in(self.buffer(key, self.whole_flits(words) if sent else words, number), layout)
        self.held[key] = held
        if sent:
            self.steps.append(lambda: self._unfilled(held, name, ends=clears))
        return held

    # ---- steps that clear ----

    def clear(self, block: WordBlock, label: str) -> DieStep:
        """Words become +0."""
        return clear_steps(self.constant(ZERO), block, word_bytes=self.word_bytes, label=label)

    def clear_behind(self, held: Held, rows: int, words: int, label: str) -> Iterable[DieStep]:
        """What lies behind the first ``rows`` of a tensor of one run, up to ``words`` from its first word on."""
        return (self.clear(block, label) for block in words_behind(held.storage, rows, words))

    def _unfilled(self, held: Held, label: str, *, ends: bool) -> Iterable[DieStep]:
        """Words of rows that nothing fills; with ``ends`` those that are filled in part as well."""
        storage = held.storage
        blocks = (*(words_of_ends(storage) if ends else ()), *words_of_gaps(storage))
        return (self.clear(block, label) for block in blocks)
