"""An AXI4 subordinate in Python: checks the manager's signals, answers late and, for different ids, in any order."""

from __future__ import annotations

import random
from typing import Any

from chiplet.machine.specs import MemorySpec
from rtl.interface.axi import ADDRESS, CHANNELS
from tests.rtl.harness import Bench, signal


class AxiMemory:
    """Memory behind a manager port of single-word bursts.

    Reads and writes take effect when they are answered, so nothing orders a read with the writes around it but that
    the manager waits for answers.

    Parameters
    ----------
    words
        Contents by word number; words that are missing are 0.
    stall
        Chance that a cycle of a channel takes nothing, and that an answer that could come does not.
    latency
        Least cycles from the address of a read to its word.
    refused
        Addresses in bytes that are answered with SLVERR.
    """

    def __init__(
        self,
        words: dict[int, int],
        *,
        memory: MemorySpec,
        stall: float = 0.0,
        latency: int = 1,
        refused: frozenset[int] = frozenset(),
        seed: int = 0,
    ) -> None:
        self.words = words
        self.most_writes = 0
        self.reordered = 0
        self._bytes = memory.word_bytes
        self._stall, self._refused = stall, refused
        self._latency = latency
        self._coin = random.Random(seed)
        self._addresses: list[dict[str, int]] = []
        self._data: list[dict[str, int]] = []
        self._writes: list[tuple[dict[str, int], dict[str, int]]] = []
        self._reads: list[dict[str, int]] = []
        self._due: list[int] = []
        self._cycle = 0

    def _check_address(self, address: dict[str, int]) -> None:
        assert address["len"] == 0
        assert 1 << address["size"] == self._bytes
        assert address["burst"] == 1
        assert address["addr"] % self._bytes == 0

    def _write(self, address: dict[str, int], word: dict[str, int]) -> None:
        assert word["last"] == 1
        place = address["addr"] // self._bytes
        mask = sum(0xFF << 8 * n for n in range(self._bytes) if word["strb"] >> n & 1)
        self.words[place] = self.words.get(place, 0) & ~mask | word["data"] & mask

    def _pick(self, waiting: list[Any], ids: list[int]) -> int | None:
        """Any of the oldest of each id, or nothing."""
        if not waiting or self._coin.random() < self._stall:
            return None
        oldest = [n for n, one in enumerate(ids) if one not in ids[:n]]
        chosen = self._coin.choice(oldest)
        self.reordered += chosen != 0
        return chosen

    def serve(self, dut: Any, prefix: str = "m_axi_") -> Bench:
        """Bench that answers at a manager port."""

        def port(name: str) -> Any:
            return signal(dut, prefix + name)

        async def bench(ctx: Any) -> None:
            held: dict[str, dict[str, int]] = {}
            answers: dict[str, dict[str, int] | None] = {"r": None, "b": None}
            while True:
                for channel in ("ar", "aw", "w"):
                    ctx.set(port(f"{channel}ready"), self._coin.random() >= self._stall)
                for channel, answer in answers.items():
                    ctx.set(port(f"{channel}valid"), answer is not None)
                    for name in CHANNELS[channel]:
                        ctx.set(port(channel + name), (answer or {}).get(name, 0))
                names = [c + s for c in CHANNELS for s in (*CHANNELS[c], "valid", "ready")]
                values = await ctx.tick().sample(*(port(name) for name in names))
                seen = dict(zip(names, values[2:], strict=True))
                self._cycle += 1
                for channel in ("ar", "aw", "w"):
                    fields = {name: seen[channel + name] for name in CHANNELS[channel]}
                    if channel in held:
                        assert seen[f"{channel}valid"], f"{channel}: valid was taken back"
                        assert fields == held[channel], f"{channel}: changed before the transfer"
                    held.pop(channel, None)
                    if not seen[f"{channel}valid"]:
                        continue
                    if not seen[f"{channel}ready"]:
                        held[channel] = fields
                        continue
                    if channel in ("ar", "aw"):
                        assert set(fields) == set(ADDRESS)
                        self._check_address(fields)
                    if channel == "ar":
                        self._due.append(self._cycle + self._latency - 1)
                    {"ar": self._reads, "aw": self._addresses, "w": self._data}[channel].append(fields)
                while self._addresses and self._data:
                    self._writes.append((self._addresses.pop(0), self._data.pop(0)))
                for channel in answers:
                    if seen[f"{channel}ready"]:
                        answers[channel] = None
                self.most_writes = max(self.most_writes, len(self._writes))
                self._answer(answers)

        return bench

    def _answer(self, answers: dict[str, dict[str, int] | None]) -> None:
        if answers["b"] is None:
            chosen = self._pick(self._writes, [address["id"] for address, _ in self._writes])
            if chosen is not None:
                address, word = self._writes.pop(chosen)
                self._write(address, word)
                answers["b"] = {"id": address["id"], "resp": 2 * (address["addr"] in self._refused)}
        if answers["r"] is None:
            due = [read for read, cycle in zip(self._reads, self._due, strict=True) if cycle <= self._cycle]
            chosen = self._pick(due, [address["id"] for address in due])
            if chosen is not None:
                del self._due[chosen]
                address = self._reads.pop(chosen)
                answers["r"] = {
                    "id": address["id"],
                    "data": self.words.get(address["addr"] // self._bytes, 0),
                    "resp": 2 * (address["addr"] in self._refused),
                    "last": 1,
                }
