"""Random programs of a die that are right in program order, with just the semaphores that they need.

Blocks lie anywhere, memory and scratchpad are read and overwritten, sums are drained while others are made: whatever
two commands of different units share orders them by a semaphore, and nothing else does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import permutations
from random import Random

from chiplet.machine.specs import DieSpec, MemorySpec, scratchpad_depth
from rtl.interface.isa import Opcode, encode

FEEDS = {"activation": Opcode.FEED_ACTIVATION, "weight": Opcode.FEED_WEIGHT}
UNITS = (*FEEDS.values(), Opcode.LOAD, Opcode.FEED_SUMS, Opcode.GEMM, Opcode.DRAIN, Opcode.STORE)
PAIRS = {pair: n for n, pair in enumerate(permutations(UNITS, 2), start=1)}
"""Semaphore that the first unit posts and the second one waits for."""
SLOT_ROWS = 6
"""Rows of the accumulator buffer for a panel: panels that share sums begin at the same address."""

Places = frozenset[tuple[str, int]]


@dataclass
class Command:
    """A command, what it reads and writes, and the semaphores that it waits for and posts."""

    opcode: Opcode
    fields: dict[str, int]
    reads: Places
    writes: Places
    waits: list[int] = field(default_factory=list)
    posts: list[int] = field(default_factory=list)

    def conflicts(self, earlier: Command) -> bool:
        """Whether the order of the two matters."""
        return bool(earlier.writes & (self.reads | self.writes) or earlier.reads & self.writes)

    def bits(self) -> int:
        numbers = {
            f"{name}_{n}": number
            for name, values in (("wait", self.waits), ("post", self.posts))
            for n, number in enumerate(values)
        }
        return encode(self.opcode, **self.fields, **numbers)


@dataclass(frozen=True)
class Stored:
    """A rows x cols block in an operand buffer."""

    buffer: str
    base: int
    pitch: int
    rows: int
    cols: int


@dataclass(frozen=True)
class Panels:
    """Sums in the accumulator buffer."""

    slot: int
    m: int
    panels: int
    last_cols: int


@dataclass
class Programmer:
    """Writes a program, command after command. It begins with a LOAD of the whole scratchpad."""

    die: DieSpec
    memory: MemorySpec
    words: int
    coin: Random
    commands: list[Command] = field(default_factory=list)
    blocks: dict[Stored, Places] = field(default_factory=dict)
    sums: dict[Panels, Places] = field(default_factory=dict)
    synced: Counter[tuple[Opcode, Opcode]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.depth = scratchpad_depth(self.die, self.memory)
        self.slots = self.die.accumulator_depth // SLOT_ROWS
        fields = {"rows": self.depth, "words": 1, "pitch": 1, "address": 3, "memory_pitch": 0}
        self._add(Opcode.LOAD, fields, frozenset({("memory", 3)}), _places("scratchpad", range(self.depth)))

    def _add(self, opcode: Opcode, fields: dict[str, int], reads: Places, writes: Places) -> bool:
        """Append a command, unless it or an earlier one would have to wait for, or post, more than two semaphores."""
        command = Command(opcode, fields, reads, writes)
        last: dict[Opcode, int] = {}
        for n, earlier in enumerate(self.commands):
            if earlier.opcode != opcode and command.conflicts(earlier):
                last[earlier.opcode] = n
        needed = {unit: n for unit, n in last.items() if n >= self.synced[unit, opcode]}
        if len(needed) > 2 or any(len(self.commands[n].posts) > 1 for n in needed.values()):
            return False
        for unit, n in needed.items():
            self.synced[unit, opcode] = n + 1
            self.commands[n].posts.append(PAIRS[unit, opcode])
            command.waits.append(PAIRS[unit, opcode])
        self.commands.append(command)
        return True

    def _rows(self, rows: int, words: int) -> tuple[int, int, Places]:
        """Somewhere in the scratchpad: first word, pitch, and the words."""
        pitch = words + self.coin.randrange(3)
        if (rows - 1) * pitch + words > self.depth:
            pitch = words
        base = self.coin.randrange(self.depth - (rows - 1) * pitch - words + 1)
        return base, pitch, _places("scratchpad", _block(base, pitch, rows, words))

    def copy(self, opcode: Opcode) -> None:
        """Whole words between memory and scratchpad."""
        coin = self.coin
        words, rows = coin.randint(1, 4), coin.randint(1, 5)
        base, pitch, inside = self._rows(rows, words)
        memory_pitch = words + coin.randrange(3)
        address = coin.randrange(self.words - rows * memory_pitch)
        outside = _places("memory", _block(address, memory_pitch, rows, words))
        fields = {"rows": rows, "words": words, "base": base, "pitch": pitch}
        fields |= {"address": address, "memory_pitch": memory_pitch}
        loads = opcode == Opcode.LOAD
        self._add(opcode, fields, outside if loads else inside, inside if loads else outside)

    def lanes(self, buffer: str) -> int:
        return self.die.rows if buffer == "activation" else self.die.cols

    def block_places(self, block: Stored) -> Places:
        lanes = self.lanes(block.buffer)
        return frozenset(
            (f"{block.buffer} {(i + j) % lanes}", block.base + j // lanes * block.pitch + i)
            for i in range(block.rows)
            for j in range(block.cols)
        )

    def feed(self, buffer: str) -> None:
        """A random block from anywhere to anywhere, in one command."""
        coin, lanes = self.coin, self.lanes(buffer)
        depth = self.die.activation_depth if buffer == "activation" else self.die.weight_depth
        cols = coin.randint(1, 2 * lanes + 3)
        rows = coin.randint(1, min(2 * lanes + 3, depth // -(-cols // lanes) - 1))
        words = -(-cols * self.die.element_bytes // self.memory.word_bytes)
        rows = min(rows, self.depth // words)
        pitch = rows + coin.choice((0, 0, 1))
        block = Stored(
            buffer, coin.randrange(depth - (cols - 1) // lanes * pitch - rows + 1), pitch, rows, cols
        )
        source, source_pitch, reads = self._rows(rows, words)
        places = self.block_places(block)
        fields = {"base": block.base, "pitch": pitch, "rows": rows, "cols": cols, "words": words}
        fields |= {"source": source, "source_pitch": source_pitch}
        if self._add(FEEDS[buffer], fields, reads, places):
            self.blocks = {old: at for old, at in self.blocks.items() if not at & places}
            self.blocks[block] = places

    def _slots(self, panels: Panels) -> Places:
        """Rows of sums, around the end of the slots."""
        starts = [(panels.slot + n) % self.slots * SLOT_ROWS for n in range(panels.panels)]
        return _places("sums", (start + i for start in starts for i in range(panels.m)))

    def _made(self, panels: Panels) -> None:
        """Sums have been made: those that they replace are gone."""
        places = self._slots(panels)
        self.sums = {old: at for old, at in self.sums.items() if not at & places}
        self.sums[panels] = places

    def _sum_fields(self, panels: Panels) -> dict[str, int]:
        return {
            "base": panels.slot * SLOT_ROWS,
            "step": SLOT_ROWS,
            "wrap": self.slots * SLOT_ROWS,
            "rows": panels.m,
            "panels": panels.panels,
            "last_cols": panels.last_cols,
        }

    def gemm(self) -> None:
        """Multiply stored blocks, from their first elements on, into sums that are there or not."""
        coin, die = self.coin, self.die
        choices = [[block for block in self.blocks if block.buffer == buffer] for buffer in FEEDS]
        if not all(choices):
            return
        a, b = (coin.choice(blocks) for blocks in choices)
        a_column, b_column = coin.getrandbits(1), coin.getrandbits(1)
        m, a_k = (a.cols, a.rows) if a_column else (a.rows, a.cols)
        b_k, n = (b.cols, b.rows) if b_column else (b.rows, b.cols)
        m = coin.randint(1, min(m, SLOT_ROWS))
        k, n = coin.randint(1, min(a_k, b_k)), coin.randint(1, min(n, self.slots * die.cols))
        count, k_tiles = -(-n // die.cols), -(-k // die.rows)
        panels = Panels(coin.randrange(self.slots), m, count, n - (count - 1) * die.cols)
        same = [old for old in self.sums if (old.m, old.panels) == (m, count)]
        accumulate = bool(same) and coin.random() < 0.7
        if accumulate:
            panels = coin.choice(same)
            n = (count - 1) * die.cols + panels.last_cols
            if n > (b.rows if b_column else b.cols):
                return
        stored_a, stored_b = (k, m) if a_column else (m, k), (n, k) if b_column else (k, n)
        reads = self.block_places(Stored(a.buffer, a.base, a.pitch, *stored_a))
        reads |= self.block_places(Stored(b.buffer, b.base, b.pitch, *stored_b))
        fields = {
            "accumulate": int(accumulate),
            "activation_column": a_column,
            "weight_column": b_column,
            "activation_base": a.base,
            "activation_pitch": a.pitch,
            "weight_base": b.base,
            "weight_pitch": b.pitch,
            "accumulator_base": panels.slot * SLOT_ROWS,
            "accumulator_step": SLOT_ROWS,
            "accumulator_wrap": self.slots * SLOT_ROWS,
            "m": m,
            "k_tiles": k_tiles,
            "last_k": k - (k_tiles - 1) * die.rows,
            "panels": count,
            "last_cols": panels.last_cols,
        }
        if self._add(Opcode.GEMM, fields, reads, self._slots(panels)):
            self._made(panels)

    def feed_sums(self) -> None:
        """Sums from anywhere in the scratchpad."""
        coin = self.coin
        count = coin.randint(1, self.slots)
        panels = Panels(
            coin.randrange(self.slots),
            coin.randint(1, SLOT_ROWS),
            count,
            coin.randint(1, self.die.cols),
        )
        words = self._sum_words(panels, 4)
        if panels.m * words > self.depth:
            return
        source, pitch, reads = self._rows(panels.m, words)
        fields = {**self._sum_fields(panels), "source": source, "source_pitch": pitch}
        if self._add(Opcode.FEED_SUMS, fields, reads, self._slots(panels)):
            self._made(panels)

    def _sum_words(self, panels: Panels, element: int) -> int:
        columns = (panels.panels - 1) * self.die.cols + panels.last_cols
        return -(-columns * element // self.memory.word_bytes)

    def drain(self) -> None:
        """Sums to anywhere in the scratchpad, as they are or as bf16."""
        if not self.sums:
            return
        panels = self.coin.choice([*self.sums])
        cast = self.coin.getrandbits(1) if self.die.dtype == "bf16" else 0
        words = self._sum_words(panels, 2 if cast else 4)
        if panels.m * words > self.depth:
            return
        target, pitch, writes = self._rows(panels.m, words)
        fields = {**self._sum_fields(panels), "target": target, "target_pitch": pitch, "cast": cast}
        self._add(Opcode.DRAIN, fields, self.sums[panels], writes)

    def write(self, count: int) -> None:
        """Write ``count`` commands."""
        makers = [
            lambda: self.copy(Opcode.LOAD),
            lambda: self.copy(Opcode.STORE),
            lambda: self.feed("activation"),
            lambda: self.feed("weight"),
            self.gemm,
            self.gemm,
            self.feed_sums,
            self.drain,
            self.drain,
        ]
        while len(self.commands) < count:
            self.coin.choice(makers)()

    def program(self) -> list[int]:
        """The program as 256-bit numbers."""
        return [command.bits() for command in self.commands]


def _block(base: int, pitch: int, rows: int, words: int) -> Iterator[int]:
    return (base + i * pitch + n for i in range(rows) for n in range(words))


def _places(what: str, addresses: range | Iterator[int]) -> Places:
    return frozenset((what, address) for address in addresses)
