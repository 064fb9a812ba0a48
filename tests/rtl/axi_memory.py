"""An AXI4 subordinate in Python: checks the manager's signals, answers late and, for different ids, in any order."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from chiplet.machine.specs import MemorySpec
from rtl.interface.axi import ADDRESS, CHANNELS
from tests.rtl.harness import Bench, signal


class AxiMemory:
    """Memory behind a manager port that writes single words and reads bursts.

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
        Answers to addresses in bytes that are not OKAY: 2 is SLVERR, 3 is DECERR.
    """

    def __init__(
        self,
        words: dict[int, int],
        *,
        memory: MemorySpec,
        stall: float = 0.0,
        latency: int = 1,
        refused: Mapping[int, int] | None = None,
        seed: int = 0,
    ) -> None:
        self.words = words
        self.most_writes = 0
        self.reordered = 0
        self.bursts: list[int] = []
        """Words of each burst that was read."""
        self._bytes = memory.word_bytes
        self._stall, self._refused = stall, dict(refused or {})
        self._latency = latency
        self._coin = random.Random(seed)
        self._addresses: list[dict[str, int]] = []
        self._data: list[dict[str, int]] = []
        self._writes: list[tuple[dict[str, int], dict[str, int]]] = []
        self._reads: list[dict[str, int]] = []
        self._due: list[int] = []
        self._cycle = 0

    def _check_address(self, address: dict[str, int]) -> None:
        assert 1 << address["size"] == self._bytes
        assert address["burst"] == 1
        assert address["addr"] % self._bytes == 0
        assert address["addr"] % 4096 + (address["len"] + 1) * self._bytes <= 4096

    def _write(self, address: dict[str, int], word: dict[str, int]) -> None:
        assert (address["len"], word["last"]) == (0, 1)
        place = address["addr"] // self._bytes
        mask = sum(0xFF << 8 * n for n in range(self._bytes) if word["strb"] >> n & 1)
        self.words[place] = self.words.get(place, 0) & ~mask | word["data"] & mask

    def refuse(self, refused: Mapping[int, int]) -> None:
        """Take other answers that are not OKAY."""
        self._refused = dict(refused)

    def _read(self, address: dict[str, int]) -> None:
        words = address["len"] + 1
        self.bursts.append(words)
        for n in range(words):
            self._due.append(self._cycle + self._latency - 1 + n)
            self._reads.append(
                {"id": address["id"], "addr": address["addr"] + n * self._bytes, "last": int(n == words - 1)}
            )

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
                        self._read(fields)
                    else:
                        {"aw": self._addresses, "w": self._data}[channel].append(fields)
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
                answers["b"] = {"id": address["id"], "resp": self._refused.get(address["addr"], 0)}
        if answers["r"] is None:
            due = [read for read, cycle in zip(self._reads, self._due, strict=True) if cycle <= self._cycle]
            chosen = self._pick(due, [address["id"] for address in due])
            if chosen is not None:
                del self._due[chosen]
                address = self._reads.pop(chosen)
                answers["r"] = {
                    "id": address["id"],
                    "data": self.words.get(address["addr"] // self._bytes, 0),
                    "resp": self._refused.get(address["addr"], 0),
                    "last": address["last"],
                }
