"""Scratchpad: the banked memory of the die, with many read and write ports."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In
from amaranth.utils import exact_log2

from rtl.block import Block, check_integers, place
from rtl.interface.scratchpad_port import ScratchpadReadPort, ScratchpadWritePort
from rtl.lib.round_robin import next_in_turn
from rtl.lib.sram import Sram

__all__ = ["Scratchpad"]


class Scratchpad(Block):
    """Words in banks that take a read and a write each in a cycle: word a lies in bank a mod ``banks``.

    Ports that want the same bank take turns, but readers of the same word get it together. Streams with ascending
    addresses collide once and then use different banks, so it is enough to have as many banks as words are wanted in a
    cycle.

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

    Members
    -------
    read : In(ScratchpadReadPort).array(readers)
    write : In(ScratchpadWritePort).array(writers)
        A write is visible to the reads of the next cycle. The last write port never waits: the store unit writes
        through it and reports completion as soon as its request has left.

    Raises
    ------
    ValueError
        If a size is not a positive integer, ``banks`` is not a power of two that divides ``depth``, or ``word_bytes``
        is not a multiple of 4.
    """

    def __init__(
        self, *, word_bytes: int, depth: int, banks: int, readers: int, writers: int, macro: bool = False
    ) -> None:
        check_integers("scratchpad", minimum=1, depth=depth, banks=banks, readers=readers, writers=writers)
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
        return f"scratchpad_{self._depth}x{self._word_bytes}_{self._banks}_{self._readers}r{self._writers}w"

    def elaborate(self, platform: object) -> Module:
        m = Module()
        parts = self._word_bytes // 4
        bank_bits = exact_log2(self._banks)
        words = []
        taken: dict[str, list[list[Value]]] = {
            "read": [[] for _ in range(self._readers)],
            "write": [[] for _ in range(self._writers)],
        }
        for bank in range(self._banks):
            grants, asks = {}, {}
            for name, ports in (("read", self.read), ("write", self.write)):
                asked = Signal(len(ports), name=f"{name}_asked_{bank}")
                last = Signal(len(ports), name=f"{name}_last_{bank}", init=1)
                grant = Signal(len(ports), name=f"{name}_grant_{bank}")
                turn = next_in_turn(m, f"{name}_{bank}", asked, last)
                if name == "write":
                    turn = Mux(asked[-1], 1 << (len(ports) - 1), turn)
                m.d.comb += [
                    asked.eq(Cat(port.valid & (port.address[:bank_bits] == bank) for port in ports)),
                    grant.eq(turn),
                ]
                # A write through the port that never waits does not change whose turn is next.
                in_turn = ~grant[-1] if name == "write" else 1
                with m.If(grant.any() & in_turn):
                    m.d.sync += last.eq(grant)
                grants[name] = grant
                asks[name] = asked

            def granted(name: str, values: list[Signal], grant: Signal, bank: int = bank) -> Signal:
                """The value of the port that has the bank."""
                value = Signal.like(values[0], name=f"{name}_{bank}")
                with m.Switch(grant):
                    for n, offered in enumerate(values):
                        with m.Case("".join("1" if bit == n else "-" for bit in reversed(range(len(grant))))):
                            m.d.comb += value.eq(offered)
                return value

            read_grant, write_grant = grants["read"], grants["write"]
            read_address = granted("read_address", [port.address for port in self.read], read_grant)
            write_address = granted("write_address", [port.address for port in self.write], write_grant)
            for n, port in enumerate(self.read):
                taken["read"][n].append(asks["read"][n] & (port.address == read_address))
            for n in range(self._writers):
                taken["write"][n].append(write_grant[n])
            strobe = granted("write_strobe", [port.strobe for port in self.write], write_grant)
            data = granted("write_data", [port.data for port in self.write], write_grant)
            read_parts = []
            for part in range(parts):
                sram = Sram(width=32, depth=self._depth // self._banks, macro=self._macro)
                place(m, platform, f"bank_{bank}_{part}", sram)
                m.d.comb += [
                    sram.read_enable.eq(grants["read"].any()),
                    sram.read_address.eq(read_address[bank_bits:]),
                    sram.write_enable.eq(grants["write"].any() & strobe[part]),
                    sram.write_address.eq(write_address[bank_bits:]),
                    sram.write_data.eq(data.word_select(part, 32)),
                ]
                read_parts.append(sram.read_data)
            word = Signal(8 * self._word_bytes, name=f"word_{bank}")
            m.d.comb += word.eq(Cat(read_parts))
            words.append(word)

        for name, ports in (("read", self.read), ("write", self.write)):
            for port, banks in zip(ports, taken[name], strict=True):
                m.d.comb += port.ready.eq(Cat(banks).any())
        for n, port in enumerate(self.read):
            if self._banks == 1:
                m.d.comb += port.data.eq(words[0])
                continue
            bank = Signal(bank_bits, name=f"read_{n}_bank")
            m.d.sync += bank.eq(port.address[:bank_bits])
            value = words[0]
            for number, word in enumerate(words[1:], start=1):
                value = Mux(bank == number, word, value)
            m.d.comb += port.data.eq(value)
        return m
