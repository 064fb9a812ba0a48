"""Blocks after their conversion to RTLIL, kept for the next design of this process."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from rtl.block import Block, Port

__all__ = ["CONVERSIONS", "Conversions", "Converted"]

MOST_CHARACTERS = 2**26


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A block after its conversion.

    Attributes
    ----------
    block_class
        Class of the block.
    identity
        Class and all parameters as text (:attr:`rtl.block.Block.identity`).
    block_name
        Name that the block asks for.
    name
        Name of its module.
    ports
        Ports as declared, to compare later uses with.
    macro, clocked
        As of the block.
    clocking
        Which of clock and reset the module has.
    blocks
        The blocks inside, in the order of their first use.
    rtlil
        The module.
    """

    block_class: type[Block]
    identity: str
    block_name: str
    name: str
    ports: tuple[Port, ...]
    macro: bool
    clocked: bool
    clocking: tuple[str, ...]
    blocks: tuple[Converted, ...]
    rtlil: str


class Conversions:
    """Conversions by class and identity, the least recently used ones dropped beyond a number of characters.

    The class itself is part of the key: one that a function defines anew has the same identity and other logic.
    """

    def __init__(self, most_characters: int = MOST_CHARACTERS) -> None:
        self._most = most_characters
        self._characters = 0
        self._kept: OrderedDict[tuple[type[Block], str], Converted] = OrderedDict()

    def get(self, block_class: type[Block], identity: str) -> Converted | None:
        """The conversion of a block, if it is kept."""
        key = block_class, identity
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def keep(self, converted: Converted) -> None:
        """Keep a conversion."""
        key = converted.block_class, converted.identity
        replaced = self._kept.pop(key, None)
        self._characters += len(converted.rtlil) - (len(replaced.rtlil) if replaced else 0)
        self._kept[key] = converted
        while self._characters > self._most:
            _, dropped = self._kept.popitem(last=False)
            self._characters -= len(dropped.rtlil)


CONVERSIONS = Conversions()
"""The conversions of this process."""
