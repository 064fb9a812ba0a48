"""Random legal steps on a small die: copies, passes and products of matrices, which share places in all ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import product
from random import Random

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.compile.ordering.die_steps import DieStep, Touch
from cosim.program.checker.accesses import AccessMap
from cosim.program.checker.command_steps import steps_of
from cosim.program.command import Command
from rtl.interface.isa import Opcode, Side
from rtl.interface.vector_operations import FirstOp, Spread

DIE = DieSpec(
    rows=2, cols=2, weight_bytes=64, activation_bytes=64, accumulator_bytes=128, scratchpad_bytes=1024
)
MEMORY = MemorySpec(word_bytes=8)
MEMORY_WORDS = 96
SLOTS, SLOT_WORDS = 10, 12
"""Blocks of the scratchpad that steps use, and words of each."""
RELAY_WORD = SLOTS * SLOT_WORDS
ACCESSES = AccessMap(DIE, MEMORY)


def touches_of(
    opcode: Opcode, fields: Mapping[str, int], accesses: AccessMap = ACCESSES
) -> tuple[Touch, ...]:
    """What the checker says that a command uses."""
    steps = steps_of(0, Command(opcode, fields), 0)
    touches = []
    for access in accesses.of(steps, 0, steps.steps):
        counts = (1,) * (3 - len(access.counts)) + access.counts
        pitches = (0,) * (3 - len(access.pitches)) + access.pitches
        if pitches[1] == 1 != pitches[2]:  # a block of a feed goes into several banks
            counts, pitches = (counts[0], *counts[:0:-1]), (pitches[0], *pitches[:0:-1])
        for block, writes in product(range(counts[0]), (False, True)):
            if access.writes if writes else access.reads:
                base = access.base + block * pitches[0]
                assert pitches[2] == 1
                touches.append(
                    Touch(access.memory, base, counts[2], counts[1], pitches[1], writes)  # type: ignore[arg-type]
                )
    return tuple(touches)


def step(opcode: Opcode, **fields: int) -> DieStep:
    return DieStep(opcode, fields, touches_of(opcode, fields))


class RandomSteps:
    """Makes steps that read only what earlier ones have written."""

    def __init__(self, seed: int, *, passes: bool = True, engine: bool = False) -> None:
        self.random = Random(seed)
        self.filled: list[int] = []  # slots whose words are all written
        self.kinds = [self.copy_in, self.copy_out, self.multiply, *([self.vector] if passes else [])]
        self.kinds += [self.send, self.receive] if engine else []

    def steps(self, count: int) -> list[DieStep]:
        found = [*self.copy_in()]
        while len(found) < count:
            found += self.random.choice(self.kinds)()
        return found

    def copy_in(self) -> Iterator[DieStep]:
        slot = self.random.randrange(SLOTS)
        self._fill(slot)
        rows = self.random.choice([1, 3, 12])
        yield self._copy(Opcode.LOAD, slot, rows)

    def copy_out(self) -> Iterator[DieStep]:
        yield self._copy(Opcode.STORE, self._filled(), self.random.choice([1, 2, 6]))

    def vector(self) -> Iterator[DieStep]:
        """A pass over 6 rows of 8 elements, from one or two slots, to another one or in place."""
        a, b, y = self._filled(), self._filled(), self.random.randrange(SLOTS)
        fields: dict[str, int] = {"a": a * SLOT_WORDS, "a_pitch": 2, "a_spread": Spread.MATRIX, "a_bf16": 1}
        if b not in (a, y) and self.random.random() < 0.5:
            fields |= {
                "op1": FirstOp.ADD,
                "b": b * SLOT_WORDS,
                "b_pitch": 2,
                "b_spread": Spread.MATRIX,
                "b_bf16": 1,
            }
        fields |= {"y": y * SLOT_WORDS, "y_pitch": 2, "result": 2, "rows": 6, "cols": 8}
        self._fill(y)
        yield step(Opcode.VECTOR, **{name: int(value) for name, value in fields.items()})

    def multiply(self) -> Iterator[DieStep]:
        """A product of m x 4 by 4 x n, which may begin with sums, may be of two parts, and may hand over its panels."""
        random = self.random
        m, n = random.randint(1, 3), random.randint(1, 4)
        panels = -(-n // 2)
        sums = {
            "base": random.choice([0, 6]),
            "step": 3,
            "wrap": 16,
            "rows": m,
            "panels": panels,
            "last_cols": n - 2 * (panels - 1),
        }
        more = random.random() < 0.3
        if more:
            yield step(Opcode.FEED_SUMS, **sums, source=self._filled() * SLOT_WORDS, source_pitch=2)
        parts = random.randint(1, 2)
        for part in range(parts):
            at, weight_at = random.choice([0, 6]), random.choice([0, 8])
            yield step(
                Opcode.FEED_ACTIVATION,
                base=at,
                pitch=3,
                rows=m,
                cols=4,
                words=1,
                source=self._filled() * SLOT_WORDS,
                source_pitch=1,
            )
            yield step(
                Opcode.FEED_WEIGHT,
                base=weight_at,
                pitch=4,
                rows=4,
                cols=n,
                words=1,
                source=self._filled() * SLOT_WORDS,
                source_pitch=2,
            )
            handed = panels if part == parts - 1 and random.random() < 0.7 else 0
            gemm = step(
                Opcode.GEMM,
                accumulate=int(more or part > 0),
                activation_base=at,
                activation_pitch=3,
                weight_base=weight_at,
                weight_pitch=4,
                m=m,
                k_tiles=2,
                last_k=2,
                accumulator_base=sums["base"],
                accumulator_step=3,
                accumulator_wrap=16,
                panels=panels,
                last_cols=sums["last_cols"],
            )
            yield replace(gemm, panels=handed)
        slot = random.randrange(SLOTS)
        drain = step(Opcode.DRAIN, **sums, target=slot * SLOT_WORDS, target_pitch=2)
        yield replace(drain, panels=handed)

    def send(self) -> Iterator[DieStep]:
        """Chunks of a slot, which may be read ahead."""
        ahead = self.random.randrange(2)
        yield self._chunks(Opcode.SEND, self._filled(), target=1, own=3, ahead=ahead)

    def receive(self) -> Iterator[DieStep]:
        """Chunks that are written to a slot, or added to what is there."""
        if self.random.randrange(2):
            yield self._chunks(Opcode.RECEIVE, self._filled(), add=1)
        else:
            slot = self.random.randrange(SLOTS)
            self._fill(slot)
            yield self._chunks(Opcode.RECEIVE, slot)

    def _chunks(self, opcode: Opcode, slot: int, **fields: int) -> DieStep:
        place = {"base": slot * SLOT_WORDS, "pitch": 4, "chunks": 3, "flits": 4}
        return step(opcode, side=self.random.choice([*Side]), **place, **fields)

    def _copy(self, opcode: Opcode, slot: int, rows: int) -> DieStep:
        words = SLOT_WORDS // rows
        address = self.random.randrange(MEMORY_WORDS - SLOT_WORDS + 1)
        return step(
            opcode,
            base=slot * SLOT_WORDS,
            pitch=words,
            rows=rows,
            words=words,
            address=address,
            memory_pitch=words,
        )

    def _fill(self, slot: int) -> None:
        if slot not in self.filled:
            self.filled.append(slot)

    def _filled(self) -> int:
        return self.random.choice(self.filled)
