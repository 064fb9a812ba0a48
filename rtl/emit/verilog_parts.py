"""Verilog of a design in parts: Yosys writes blocks while Amaranth converts further ones."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Self

from rtl.emit.conversions import Converted
from rtl.emit.rtlil import interface, to_verilog

__all__ = ["PART_CHARACTERS", "VerilogParts"]

PART_CHARACTERS = 600_000
"""Characters of RTLIL that are worth another start of Yosys."""


class VerilogParts:
    """Collects converted blocks and starts Yosys whenever they are enough. A context: Yosys ends with it at the latest.

    Parameters
    ----------
    what
        Name of the design, for error messages.
    characters
        Characters of RTLIL of a part, if its last block has no more.
    """

    def __init__(self, what: str, characters: int = PART_CHARACTERS) -> None:
        self._what = what
        self._characters = characters
        self._waiting: list[Converted] = []
        self._cancelled = Event()
        self._threads = ThreadPoolExecutor(1)
        self._parts: list[Future[dict[str, str]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cancelled.set()
        self._threads.shutdown(cancel_futures=True)

    def add(self, block: Converted) -> None:
        """Add a block. Those inside it were added before."""
        self._waiting.append(block)
        if sum(len(waiting.rtlil) for waiting in self._waiting) >= self._characters:
            self._start()

    def end(self) -> None:
        """Start Yosys for the last part: no block follows."""
        if self._waiting:
            self._start()

    def verilog(self) -> dict[str, str]:
        """Verilog of each module of the blocks in the parts that were started; waits for it.

        Raises
        ------
        YosysError
            If the netlist is inconsistent, or one of its names is a keyword of Verilog.
        """
        verilog: dict[str, str] = {}
        for part in self._parts:
            for module, text in part.result().items():
                verilog.setdefault(module, text)  # in later parts it is an interface
        return verilog

    def _start(self) -> None:
        blocks = {block.name: block for block in self._waiting}
        inside = {inner.name: inner for block in self._waiting for inner in block.blocks}
        texts = [interface(inner.rtlil, name) for name, inner in inside.items() if name not in blocks]
        texts += [block.rtlil for block in self._waiting]
        narrow = [block.name for block in self._waiting if block.clocked]
        self._waiting = []
        self._parts.append(
            self._threads.submit(
                to_verilog, "\n".join(texts), what=self._what, narrow=narrow, cancelled=self._cancelled
            )
        )
