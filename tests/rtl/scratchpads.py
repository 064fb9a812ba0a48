"""What the tests of units around the scratchpad share: its ports in Python, and the semaphores of a unit."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Any

from rtl.interface.scratchpad_port import STROBE_BYTES
from tests.rtl.harness import Bench


@dataclass(frozen=True)
class BlockCopy:
    """What LOAD and STORE have in common: rows of words in the scratchpad and in memory."""

    base: int
    pitch: int
    rows: int
    words: int
    address: int
    memory_pitch: int
    wait_0: int = 0
    wait_1: int = 0
    post_0: int = 0
    post_1: int = 0

    def places(self) -> list[tuple[int, int]]:
        """Scratchpad word and memory word, in order."""
        return [
            (self.base + i * self.pitch + n, self.address + i * self.memory_pitch + n)
            for i in range(self.rows)
            for n in range(self.words)
        ]


class PythonScratchpad:
    """Words by address; ports are served in random cycles.

    Parameters
    ----------
    words
        Contents by address. A word that is missing is undefined: it must not be read.
    stall
        Chance that a port is not served in a cycle.
    latency
        Cycles from a read to its word.
    """

    def __init__(
        self,
        words: dict[int, int],
        *,
        word_bytes: int,
        stall: float = 0.0,
        latency: int = 1,
        seed: int = 0,
    ) -> None:
        self.words, self.word_bytes = words, word_bytes
        self.reads: list[int] = []
        self.writes: list[int] = []
        self._stall, self._latency, self._coin = stall, latency, Random(seed)

    def serve_reads(self, port: Any) -> Bench:
        """Bench that answers a read port; the data of other cycles are rubbish."""

        async def bench(ctx: Any) -> None:
            coming: deque[int | None] = deque([None] * (self._latency - 1))
            while True:
                ctx.set(port.ready, self._coin.random() >= self._stall)
                _, _, valid, ready, address = await ctx.tick().sample(port.valid, port.ready, port.address)
                coming.append(self.words[address] if valid and ready else None)
                if valid and ready:
                    self.reads.append(address)
                word = coming.popleft()
                rubbish = self._coin.getrandbits(8 * self.word_bytes)
                ctx.set(port.data, rubbish if word is None else word)

        return bench

    def serve_writes(self, port: Any) -> Bench:
        """Bench that takes what comes by a write port."""

        async def bench(ctx: Any) -> None:
            while True:
                ctx.set(port.ready, self._coin.random() >= self._stall)
                _, _, valid, ready, address, strobe, data = await ctx.tick().sample(
                    *(port.valid, port.ready, port.address, port.strobe, port.data)
                )
                if valid and ready:
                    self.writes.append(address)
                    self.write(address, strobe, data)

        return bench

    def write(self, address: int, strobe: int, data: int) -> None:
        bits = 8 * STROBE_BYTES
        mask = sum(
            ((1 << bits) - 1) << bits * n for n in range(self.word_bytes // STROBE_BYTES) if strobe >> n & 1
        )
        self.words[address] = self.words.get(address, 0) & ~mask | data & mask


class PythonSemaphores:
    """Lets a unit take semaphores in random cycles, and notes the masks that it takes and posts."""

    def __init__(self, *, chance: float = 1.0, seed: int = 0) -> None:
        self.takes: list[int] = []
        self.posts: list[int] = []
        self._chance, self._coin = chance, Random(seed)

    def serve(self, port: Any) -> Bench:
        async def bench(ctx: Any) -> None:
            while True:
                ctx.set(port.ok, self._coin.random() < self._chance)
                _, _, ok, take, wait, post = await ctx.tick().sample(port.ok, port.take, port.wait, port.post)
                assert ok or not take
                if take:
                    self.takes.append(wait)
                if post:
                    self.posts.append(post)

        return bench


def mask(*numbers: int) -> int:
    """The mask of some semaphores, by number."""
    return sum({1 << number for number in numbers if number})
