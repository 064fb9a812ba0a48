"""Exchange buffer: the SRAM between the links and the die's memory port, which many read and write at once."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In, Member, Out
from amaranth.utils import exact_log2

from rtl.block import Block, check_integers, place
from rtl.interface.memory_port import address_bits
from rtl.lib.round_robin import next_in_turn
from rtl.lib.sram import Sram

__all__ = [
    "ExchangeBuffer",
]


class ExchangeBuffer(Block):
    """Words in banks that take a read and a write each in a cycle: word a lies in bank a mod ``banks``.

    Ports that want the same bank take turns, but readers of the same word get it together. Streams that walk through
    addresses one after the other get out of each other's way after one collision, so a bank for each word that is
    wanted in a cycle serves them all.

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
    read_{n}_valid, read_{n}_address : In; read_{n}_ready : Out(1)
        A read, taken in a cycle in which both are high.
    read_{n}_data : Out(8 * word_bytes)
        The word, in the cycle after that.
    write_{n}_valid, write_{n}_address, write_{n}_strobe, write_{n}_data : In; write_{n}_ready : Out(1)
        A write of the 32-bit parts of a word that ``strobe`` names. The next cycle's reads see it. The last port never
        waits: the store unit, which writes through it, says that it is done when its request has left.
    """

    def __init__(
        self, *, word_bytes: int, depth: int, banks: int, readers: int, writers: int, macro: bool = False
    ) -> None:
        check_integers(
            "exchange buffer", minimum=1, depth=depth, banks=banks, readers=readers, writers=writers
        )
        if banks & (banks - 1) or depth % banks:
            raise ValueError(
                f"exchange buffer: banks = {banks}: must be a power of two that divides depth = {depth}"
            )
        if word_bytes % 4:
            raise ValueError(f"exchange buffer: word_bytes = {word_bytes}: must be a multiple of 4")
        self._word_bytes, self._depth, self._banks = word_bytes, depth, banks
        self._readers, self._writers, self._macro = readers, writers, macro
        ports: dict[str, Member] = {}
        for n in range(readers):
            ports |= {
                f"read_{n}_valid": In(1),
                f"read_{n}_address": In(address_bits(depth)),
                f"read_{n}_ready": Out(1),
                f"read_{n}_data": Out(8 * word_bytes),
            }
        for n in range(writers):
            ports |= {
                f"write_{n}_valid": In(1),
                f"write_{n}_address": In(address_bits(depth)),
                f"write_{n}_strobe": In(word_bytes // 4),
                f"write_{n}_data": In(8 * word_bytes),
                f"write_{n}_ready": Out(1),
            }
        super().__init__(ports)

    @property
    def block_name(self) -> str:
        return f"exchange_{self._depth}x{self._word_bytes}_{self._banks}_{self._readers}r{self._writers}w"

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
            for kind, ports in (("read", self._readers), ("write", self._writers)):
                asked = Signal(ports, name=f"{kind}_asked_{bank}")
                last = Signal(ports, name=f"{kind}_last_{bank}", init=1)
                grant = Signal(ports, name=f"{kind}_grant_{bank}")
                turn = next_in_turn(m, f"{kind}_{bank}", asked, last)
                if kind == "write":
                    turn = Mux(asked[-1], 1 << (ports - 1), turn)
                m.d.comb += [
                    asked.eq(
                        Cat(
                            getattr(self, f"{kind}_{n}_valid")
                            & (getattr(self, f"{kind}_{n}_address")[:bank_bits] == bank)
                            for n in range(ports)
                        )
                    ),
                    grant.eq(turn),
                ]
                in_turn = (
                    ~grant[-1] if kind == "write" else 1
                )  # the port that never waits takes nobody's turn
                with m.If(grant.any() & in_turn):
                    m.d.sync += last.eq(grant)
                grants[kind] = grant
                asks[kind] = asked

            def chosen(kind: str, name: str, grant: Signal, bank: int = bank) -> Signal:
                """Member ``name`` of the port that has the bank."""
                first = getattr(self, f"{kind}_0_{name}")
                value = Signal.like(first, name=f"{kind}_{name}_{bank}")
                with m.Switch(grant):
                    for n in range(len(grant)):
                        with m.Case("".join("1" if bit == n else "-" for bit in reversed(range(len(grant))))):
                            m.d.comb += value.eq(getattr(self, f"{kind}_{n}_{name}"))
                return value

            read_address = chosen("read", "address", grants["read"])
            write_address = chosen("write", "address", grants["write"])
            for n in range(self._readers):
                same = getattr(self, f"read_{n}_address") == read_address
                taken["read"][n].append(asks["read"][n] & same)
            for n in range(self._writers):
                taken["write"][n].append(grants["write"][n])
            strobe = chosen("write", "strobe", grants["write"])
            data = chosen("write", "data", grants["write"])
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

        for kind, ports_taken in taken.items():
            for n, banks in enumerate(ports_taken):
                m.d.comb += getattr(self, f"{kind}_{n}_ready").eq(Cat(banks).any())
        for n in range(self._readers):
            out = getattr(self, f"read_{n}_data")
            if self._banks == 1:
                m.d.comb += out.eq(words[0])
                continue
            bank = Signal(bank_bits, name=f"read_{n}_bank")
            m.d.sync += bank.eq(getattr(self, f"read_{n}_address")[:bank_bits])
            value = words[0]
            for number, word in enumerate(words[1:], start=1):
                value = Mux(bank == number, word, value)
            m.d.comb += out.eq(value)
        return m
