"""Scratchpad: the one activation memory of a die, in banks, with read and write ports for all of its units."""

from __future__ import annotations

from functools import reduce
from itertools import combinations
from operator import or_
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In
from amaranth.utils import exact_log2

from chiplet.machine.pipelining import SRAM_LATENCY
from rtl.block import Block, check_integers, place
from rtl.interface.scratchpad_port import STROBE_BYTES, ScratchpadReadPort, ScratchpadWritePort
from rtl.lib.delay import delayed
from rtl.lib.round_robin import next_in_turn
from rtl.lib.sram import Sram, with_latency

__all__ = ["Scratchpad"]


class Scratchpad(Block):
    """Words in banks that take a read and a write each in a cycle: word a lies in bank a mod ``banks``.

    Ports that want the same bank take turns, but readers of the same word get it together. Streams with ascending
    addresses collide once and then use different banks, so it is enough to have as many banks as words are wanted in a
    cycle. Ready depends on the valids and addresses of all ports, so no valid may depend on a ready.

    Parameters
    ----------
    word_bytes : int
        Bytes of a word, a multiple of 4.
    depth : int
        Words, at least ``banks`` and a multiple of it.
    banks : int
        A power of two.
    readers, writers : int
        Ports.
    macro : bool
        SRAMs as black boxes.
    sram_latency : int
        Cycles from a read of an SRAM to its word.

    Members
    -------
    read : In(ScratchpadReadPort).array(readers)
    write : In(ScratchpadWritePort).array(writers)
        A write is visible to the reads of the next cycle.

    Raises
    ------
    ValueError
        If a size is not a positive integer, ``banks`` is not a power of two that divides ``depth``, or ``word_bytes``
        is not a multiple of 4.
    """

    def __init__(
        self,
        *,
        word_bytes: int,
        depth: int,
        banks: int,
        readers: int,
        writers: int,
        macro: bool = False,
        sram_latency: int = SRAM_LATENCY,
    ) -> None:
        check_integers("scratchpad", minimum=1, depth=depth, banks=banks, readers=readers, writers=writers)
        check_integers("scratchpad", minimum=1, sram_latency=sram_latency)
        self._latency = sram_latency
        if banks & (banks - 1) or depth % banks:
            raise ValueError(
                f"scratchpad: banks = {banks}: must be a power of two that divides depth = {depth}"
            )
        if word_bytes % 4:
            raise ValueError(f"scratchpad: word_bytes = {word_bytes}: must be a multiple of 4")
        self._word_bytes, self._depth, self._banks = word_bytes, depth, banks
        self._readers, self._writers, self._macro = readers, writers, macro
        size = {"depth": depth, "word_bytes": word_bytes}
        super().__init__(
            {
                "read": In(ScratchpadReadPort(**size)).array(readers),
                "write": In(ScratchpadWritePort(**size)).array(writers),
            }
        )

    @property
    def block_name(self) -> str:
        ports = f"{self._readers}r{self._writers}w"
        name = f"scratchpad_{self._depth}x{self._word_bytes}_{self._banks}_{ports}"
        return with_latency(name, self._latency)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bank_bits = exact_log2(self._banks)
        words = []
        granted: list[Value] = []
        writes_taken: list[list[Value]] = [[] for _ in range(self._writers)]
        for bank in range(self._banks):
            read_asked, read_grant = self._turns(m, "read", self.read, bank)
            _, write_grant = self._turns(m, "write", self.write, bank)
            sram = Sram(
                width=8 * self._word_bytes,
                depth=self._depth // self._banks,
                macro=self._macro,
                part=8 * STROBE_BYTES,
                sram_latency=self._latency,
            )
            place(m, platform, f"bank_{bank}", sram)
            read_address = Signal.like(self.read[0].address, name=f"read_address_{bank}")
            _pick(m, read_grant, [(read_address, [port.address for port in self.read])])
            write_address = Signal.like(self.write[0].address, name=f"write_address_{bank}")
            strobe = Signal.like(self.write[0].strobe, name=f"write_strobe_{bank}")
            _pick(
                m,
                write_grant,
                [
                    (write_address, [port.address for port in self.write]),
                    (strobe, [port.strobe for port in self.write]),
                    (sram.write_data, [port.data for port in self.write]),
                ],
            )
            m.d.comb += [
                sram.read_enable.eq(read_asked.any()),
                sram.read_address.eq(read_address[bank_bits:]),
                sram.write_enable.eq(strobe),
                sram.write_address.eq(write_address[bank_bits:]),
            ]
            words.append(sram.read_data)
            granted.append(read_grant)
            for n in range(self._writers):
                writes_taken[n].append(write_grant[n])

        # A reader is served if it, or a reader of the same word, has its turn.
        served = Signal(self._readers)
        m.d.comb += served.eq(reduce(or_, granted))
        same = {(n, n): Const(1, 1) for n in range(self._readers)}
        for a, b in combinations(range(self._readers), 2):
            both = Signal(name=f"same_word_{a}_{b}")
            m.d.comb += both.eq(self.read[a].address == self.read[b].address)
            same[a, b] = same[b, a] = both
        for n, port in enumerate(self.read):
            shared = Cat(served[other] & same[n, other] for other in range(self._readers))
            m.d.comb += port.ready.eq(port.valid & shared.any())
        for port, taken in zip(self.write, writes_taken, strict=True):
            m.d.comb += port.ready.eq(Cat(taken).any())
        for n, port in enumerate(self.read):
            word_read = Signal.like(port.data, name=f"read_{n}_word")
            bank_read = Signal(max(1, bank_bits), name=f"read_{n}_bank")
            if bank_bits:
                asked_bank = delayed(
                    m,
                    port.address[:bank_bits],
                    cycles=self._latency - 1,
                    name=f"read_{n}_asked_bank",
                    reset_less=False,
                )
                m.d.sync += bank_read.eq(asked_bank)
            with m.Switch(bank_read):
                for number, word in enumerate(words):
                    with m.Case(number):
                        m.d.comb += word_read.eq(word)
            m.d.comb += port.data.eq(word_read)
        return m

    def _turns(self, m: Module, name: str, ports: list[Any], bank: int) -> tuple[Signal, Signal]:
        """Which ports want the bank, and which one has it."""
        asked = Signal(len(ports), name=f"{name}_asked_{bank}")
        last = Signal(len(ports), name=f"{name}_last_{bank}", init=1)
        grant = Signal(len(ports), name=f"{name}_grant_{bank}")
        bank_bits = exact_log2(self._banks)
        m.d.comb += [
            asked.eq(Cat(port.valid & (port.address[:bank_bits] == bank) for port in ports)),
            grant.eq(next_in_turn(m, f"{name}_{bank}", asked, last)),
        ]
        with m.If(asked.any()):
            m.d.sync += last.eq(grant)
        return asked, grant


def _pick(m: Module, grant: Signal, choices: list[tuple[Signal, list[Signal]]]) -> None:
    """Give each of the signals the value of the port that has the grant, and 0 if there is none."""
    for value, offered in choices:
        m.d.comb += value.eq(reduce(or_, (Mux(grant[n], offer, 0) for n, offer in enumerate(offered))))
