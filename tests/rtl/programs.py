"""Random programs of a die that are right in program order, with just the semaphores that they need.

Blocks lie anywhere, memory is read and overwritten, sums are stored while others are made: whatever two commands of
different units share orders them by a semaphore, and nothing else does. With an exchange buffer, words and sums go
through it, too; what a LOAD has put there no later LOAD reads, as it would have to wait for the first.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from itertools import product
from random import Random

from chiplet.machine.specs import DieSpec, MemorySpec
from rtl.interface.isa import Opcode, Target, encode
from rtl.interface.memory_port import EXCHANGE_ADDRESS

UNITS = (Opcode.LOAD, Opcode.GEMM, Opcode.STORE)
PAIRS = {pair: n for n, pair in enumerate((u, v) for u, v in product(UNITS, UNITS) if u != v)}
"""Semaphore that the first unit posts and the second one waits for."""
PANEL_DONE, SLOT_FREE = 6, 7

Places = frozenset[tuple[str, int]]


@dataclass
class Command:
    """A command, and what it reads and writes."""

    opcode: Opcode
    fields: dict[str, int]
    reads: Places = frozenset()
    writes: Places = frozenset()
    by_panel: bool = False  # a STORE that waits for each panel of the GEMM before it

    def conflicts(self, earlier: Command) -> bool:
        """Whether the order of the two matters."""
        return bool(earlier.writes & (self.reads | self.writes) or earlier.reads & self.writes)


@dataclass
class Stored:
    """A rows x cols block in an operand buffer."""

    target: Target
    base: int
    pitch: int
    rows: int
    cols: int
    places: Places


@dataclass
class Panels:
    """Sums in the accumulator buffer."""

    base: int
    step: int
    wrap: int
    m: int
    panels: int
    last_cols: int


@dataclass
class Programmer:
    """Writes a program, command after command."""

    die: DieSpec
    memory: MemorySpec
    words: int
    coin: Random
    slots: int = 3
    slot_rows: int = 6
    commands: list[Command] = field(default_factory=list)
    blocks: list[Stored] = field(default_factory=list)
    sums: list[Panels] = field(default_factory=list)
    slot: int = 0
    exchange: int = 0  # words of the exchange buffer
    loaded: set[int] = field(default_factory=set)  # those that a LOAD has written last

    def _anywhere(
        self, offsets: list[int], *, reads: bool, avoid: Set[int] = frozenset()
    ) -> tuple[int, Places]:
        """An address in the memory or the exchange buffer, and the words at ``offsets`` from there."""
        coin, size = self.coin, max(offsets) + 1
        if size <= self.exchange and coin.random() < 0.4:
            first = coin.randrange(self.exchange - size + 1)
            places = {first + offset for offset in offsets}
            if not (reads and places & (self.loaded | avoid)):
                if not reads:
                    self.loaded -= places
                return EXCHANGE_ADDRESS + first, frozenset(("exchange", place) for place in places)
        first = coin.randrange(self.words - size + 1)
        return first, frozenset(("memory", first + offset) for offset in offsets)

    def words_in(self) -> None:
        """Copy rows of words into the exchange buffer."""
        coin = self.coin
        words = coin.randint(1, min(5, self.exchange))
        pitch = words + coin.randrange(2)
        rows = coin.randint(1, 1 + (self.exchange - words) // pitch)
        base = coin.randrange(self.exchange - (rows - 1) * pitch - words + 1)
        per_word = self.memory.word_bytes // self.die.element_bytes
        memory_pitch = coin.choice((0, words))
        places = {base + row * pitch + word for row in range(rows) for word in range(words)}
        address, reads = self._anywhere(
            [row * memory_pitch + word for row in range(rows) for word in range(words)],
            reads=True,
            avoid=places,
        )
        self.loaded |= places
        fields = {
            "exchange": 1,
            "base": base,
            "pitch": pitch,
            "rows": rows,
            "cols": words * per_word - coin.randrange(per_word),
            "words": words,
            "address": address,
            "memory_pitch": memory_pitch,
        }
        writes = frozenset(("exchange", place) for place in places)
        self.commands.append(Command(Opcode.LOAD, fields, reads, writes))

    def words_out(self) -> None:
        """Copy rows of words from the exchange buffer to memory."""
        coin = self.coin
        words = coin.randint(1, min(5, self.exchange))
        step = words + coin.randrange(2)
        rows = coin.randint(1, 1 + (self.exchange - words) // step)
        base = coin.randrange(self.exchange - (rows - 1) * step - words + 1)
        pitch = words + coin.randrange(2)
        address = coin.randrange(self.words - (rows - 1) * pitch - words + 1)
        fields = {
            "exchange": 1,
            "base": base,
            "step": step,
            "rows": words,
            "panels": rows,
            "last_cols": 1,
            "address": address,
            "memory_pitch": pitch,
        }
        inside = [(row, word) for row in range(rows) for word in range(words)]
        reads = frozenset(("exchange", base + row * step + word) for row, word in inside)
        writes = frozenset(("memory", address + row * pitch + word) for row, word in inside)
        self.commands.append(Command(Opcode.STORE, fields, reads, writes))

    def lanes(self, target: Target) -> int:
        return self.die.rows if target == Target.ACTIVATION else self.die.cols

    def depth(self, target: Target) -> int:
        return self.die.activation_depth if target == Target.ACTIVATION else self.die.weight_depth

    def block_places(self, target: Target, base: int, pitch: int, rows: int, cols: int) -> Places:
        lanes = self.lanes(target)
        return frozenset(
            (f"{target.name} {(i + j) % lanes}", base + j // lanes * pitch + i)
            for i in range(rows)
            for j in range(cols)
        )

    def load(self) -> None:
        """Load a random block from anywhere to anywhere."""
        coin, target = self.coin, self.coin.choice(tuple(Target))
        per_word = self.memory.word_bytes // self.die.element_bytes
        lanes = self.lanes(target)
        cols = coin.randint(1, 2 * lanes + 3)
        rows = coin.randint(1, min(2 * lanes + 3, self.depth(target) // -(-cols // lanes) - 1))
        pitch = rows + coin.choice((0, 0, 1))
        size = (cols - 1) // lanes * pitch + rows
        base = coin.randrange(self.depth(target) - size + 1)
        words = -(-cols // per_word)
        memory_pitch = coin.choice((0, 1, words, words + 2))
        # The last word is read whole.
        address, read = self._anywhere(
            [i * memory_pitch + word for i in range(rows) for word in range(words)], reads=True
        )
        places = self.block_places(target, base, pitch, rows, cols)
        self.blocks = [block for block in self.blocks if not block.places & places]
        self.blocks.append(Stored(target, base, pitch, rows, cols, places))
        fields = {
            "target": target,
            "base": base,
            "pitch": pitch,
            "rows": rows,
            "cols": cols,
            "words": words,
            "address": address,
            "memory_pitch": memory_pitch,
        }
        self.commands.append(Command(Opcode.LOAD, fields, read, places))

    def _part(self, block: Stored) -> Stored:
        """A part of a stored block that begins at a multiple of the lanes."""
        lanes = self.lanes(block.target)
        i = self.coin.randrange(0, block.rows, lanes)
        j = self.coin.randrange(0, block.cols, lanes)
        base = block.base + j // lanes * block.pitch + i
        return Stored(block.target, base, block.pitch, block.rows - i, block.cols - j, block.places)

    def gemm(self) -> bool:
        """Multiply parts of stored blocks into the ring of slots, followed by a STORE, or into rows of their own."""
        coin, die = self.coin, self.die
        choices = [[block for block in self.blocks if block.target == target] for target in Target]
        if not all(choices):
            return False
        a, b = (self._part(coin.choice(blocks)) for blocks in choices)
        a_column, b_column = coin.getrandbits(1), coin.getrandbits(1)
        m, a_k = (a.cols, a.rows) if a_column else (a.rows, a.cols)
        b_k, n = (b.cols, b.rows) if b_column else (b.rows, b.cols)
        m = coin.randint(1, min(m, self.slot_rows))
        k, n = coin.randint(1, min(a_k, b_k)), coin.randint(1, n)
        panels, k_tiles = -(-n // die.cols), -(-k // die.rows)
        ring = coin.random() < 0.6
        if ring:
            step, wrap, base, accumulate = (
                self.slot_rows,
                self.slots * self.slot_rows,
                self.slot * self.slot_rows,
                0,
            )
            self.slot = (self.slot + panels) % self.slots
        else:
            fitting = [s for s in self.sums if (s.m, s.panels, s.last_cols) >= (m, panels, 1) and s.m >= m]
            start = self.slots * self.slot_rows
            room = (die.accumulator_depth - start) // self.slot_rows
            if fitting and coin.random() < 0.6:
                old = coin.choice(fitting)
                m, panels, accumulate = old.m, old.panels, 1
                base, step, wrap, last_cols = old.base, old.step, old.wrap, old.last_cols
                n = (panels - 1) * die.cols + last_cols
                most = (a.cols if a_column else a.rows, b.rows if b_column else b.cols)
                if most[0] < m or most[1] < n:
                    return False
            elif panels > room:
                return False
            else:
                step, wrap, accumulate = self.slot_rows, 0, 0
                base = start + coin.randrange(room - panels + 1) * self.slot_rows
        last_cols = n - (panels - 1) * die.cols
        rows = [*self._rows(base, step, wrap, m, panels)]
        stored_a = (k, m) if a_column else (m, k)
        stored_b = (n, k) if b_column else (k, n)
        reads = self.block_places(a.target, a.base, a.pitch, *stored_a)
        reads |= self.block_places(b.target, b.base, b.pitch, *stored_b)
        places = frozenset(("sums", row) for row in rows)
        fields = {
            "accumulate": accumulate,
            "activation_column": a_column,
            "weight_column": b_column,
            "activation_base": a.base,
            "activation_pitch": a.pitch,
            "weight_base": b.base,
            "weight_pitch": b.pitch,
            "accumulator_base": base,
            "accumulator_step": step,
            "accumulator_wrap": wrap,
            "m": m,
            "k_tiles": k_tiles,
            "last_k": k - (k_tiles - 1) * die.rows,
            "panels": panels,
            "last_cols": last_cols,
        }
        made = Panels(base, step, wrap, m, panels, last_cols)
        if ring:
            fields |= {"panel_wait": 1 << SLOT_FREE, "panel_post": 1 << PANEL_DONE}
            self.commands.append(Command(Opcode.GEMM, fields, reads))
            self.store(made, ring=True)
            return True
        self.commands.append(
            Command(Opcode.GEMM, fields, reads | (places if accumulate else frozenset()), places)
        )
        taken = set(rows)
        self.sums = [
            s for s in self.sums if not taken & set(self._rows(s.base, s.step, s.wrap, s.m, s.panels))
        ]
        self.sums.append(made)
        return True

    def _rows(self, base: int, step: int, wrap: int, m: int, panels: int) -> Iterator[int]:
        for _ in range(panels):
            yield from range(base, base + m)
            base = 0 if base + step == wrap else base + step

    def store(self, made: Panels, *, ring: bool = False) -> None:
        """Store sums to anywhere in memory."""
        coin, per_word = self.coin, self.memory.word_bytes // 4
        columns = (made.panels - 1) * self.die.cols + made.last_cols
        words = -(-columns // per_word)
        pitch = words + coin.randrange(3)
        address, written = self._anywhere(
            [i * pitch + word for i in range(made.m) for word in range(words)], reads=False
        )
        fields = {
            "base": made.base,
            "step": made.step,
            "wrap": made.wrap,
            "rows": made.m,
            "panels": made.panels,
            "last_cols": made.last_cols,
            "address": address,
            "memory_pitch": pitch,
        }
        rows = self._rows(made.base, made.step, made.wrap, made.m, made.panels)
        reads: Places = frozenset() if ring else frozenset(("sums", row) for row in rows)
        if ring:
            fields |= {"panel_wait": 1 << PANEL_DONE, "panel_post": 1 << SLOT_FREE}
        self.commands.append(Command(Opcode.STORE, fields, reads, written))

    def write(self, count: int) -> None:
        """Write ``count`` commands or a few more, and store all sums that are left."""
        while len(self.commands) < count:
            kind = self.coin.random()
            if self.exchange and self.coin.random() < 0.3:
                (self.words_in if self.coin.getrandbits(1) else self.words_out)()
            elif kind < 0.4:
                self.load()
            elif kind < 0.85:
                self.gemm()
            elif self.sums:
                self.store(self.coin.choice(self.sums))
        for made in self.sums:
            self.store(made)

    def program(self) -> list[int]:
        """The program as 256-bit numbers, with semaphores between commands that share something."""
        synced: dict[tuple[Opcode, Opcode], int] = dict.fromkeys(PAIRS, -1)
        for index, command in enumerate(self.commands):
            for unit in UNITS:
                pair = unit, command.opcode
                if unit == command.opcode:
                    continue
                conflicts = [
                    n
                    for n in range(synced[pair] + 1, index)
                    if self.commands[n].opcode == unit and command.conflicts(self.commands[n])
                ]
                if conflicts:
                    synced[pair] = conflicts[-1]
                    _add(self.commands[conflicts[-1]], "post", PAIRS[pair])
                    _add(command, "wait", PAIRS[pair])
        setting = {f"value_{semaphore}": 0 for semaphore in range(8)} | {f"value_{SLOT_FREE}": self.slots}
        program = [encode(Opcode.SET, mask=0xFF, **setting)]
        return program + [encode(command.opcode, **command.fields) for command in self.commands]


def _add(command: Command, name: str, semaphore: int) -> None:
    command.fields[name] = command.fields.get(name, 0) | 1 << semaphore
