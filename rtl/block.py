"""Blocks: components that become exactly one Verilog module each, however often they are used."""

from __future__ import annotations

import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Final, Literal, Self

from amaranth.hdl import Instance, Module, Shape, Signal, Value
from amaranth.lib import wiring

__all__ = [
    "CELL_BITS",
    "MOST_PORT_BITS",
    "Block",
    "BlockPlatform",
    "Bundle",
    "Names",
    "Port",
    "check_integers",
    "place",
    "port_values",
]

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")

CELL_BITS: Final = 16
"""Bits of a net's number in which Amaranth counts the outputs of one cell; those above are the number of the cell."""

MOST_PORT_BITS = (1 << CELL_BITS) - 4
"""Bits of a block's inputs, or of its outputs: one cell has the inputs, two constants, clock and reset."""

Names = Mapping[str, "str | Callable[[int], str]"]
"""Names of members in Verilog where they are not those in Python; for an array, the name of each element."""


@dataclass(frozen=True)
class Port:
    """One flat port of a block: a plain vector of ``width`` bits, seen from the block."""

    name: str
    width: int
    direction: Literal["input", "output"]


class Bundle(wiring.Signature):
    """A signature whose ports are named after it with one underscore, e.g. ``host_address``.

    Ports of streams and other signatures of Amaranth have two, e.g. ``request__valid``. A member with an empty name
    adds nothing to the names of its ports.

    Parameters
    ----------
    members : dict of str to Member
        As for any signature.
    names : mapping, optional
        Verilog names of the members whose names differ from those in Python.
    """

    def __init__(self, members: Mapping[str, wiring.Member], *, names: Names | None = None) -> None:
        super().__init__(dict(members))
        self._names = dict(names or {})

    @property
    def names(self) -> Names:
        """Verilog names of the members whose names differ from those in Python."""
        return self._names

    def __eq__(self, other: object) -> bool:
        unflipped = other.flip() if isinstance(other, wiring.FlippedSignature) else other
        return type(self) is type(unflipped) and self.members == other.members  # type: ignore[attr-defined]

    __hash__ = None  # type: ignore[assignment]


class Block(wiring.Component):
    """A component that becomes exactly one Verilog module, however often it is used.

    A subclass defines :attr:`block_name` and places other blocks with :func:`place`, so that its
    ``elaborate`` runs once for each distinct block and the Verilog does not grow with the number of uses.
    Members may nest, see :class:`Bundle` for their names; a structured payload becomes one vector.

    Parameters
    ----------
    signature : dict or Signature
        The members.
    names : mapping, optional
        Verilog names of the members whose names differ from those in Python.

    Raises
    ------
    ValueError
        If the inputs or the outputs have more than :data:`MOST_PORT_BITS` bits.
    """

    # Amaranth warns of components that are never elaborated, as repeated blocks are.
    _MustUse__silence = True

    port_names: ClassVar[Mapping[str, str]] = {}
    """Verilog names of ports that are renamed, by the names that their members would give them."""

    _parameters: Mapping[str, object]

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        self: Self = super().__new__(cls)
        constructed: Any = cls
        bound = _constructor(constructed).bind(*args, **kwargs)
        bound.apply_defaults()
        self._parameters = bound.arguments
        return self

    def __init__(self, signature: Any = None, *, names: Names | None = None) -> None:
        self._names = dict(names or {})
        super().__init__(signature)
        bits = {wiring.In: 0, wiring.Out: 0}
        for name, member, value in _flat_members(self):
            signal = Value.cast(value)
            assert isinstance(signal, Signal)
            signal.name = name
            bits[member.flow] += len(signal)
        most = max(bits.values())
        if most > MOST_PORT_BITS:
            raise ValueError(
                f"{self.block_name}: {most} bits of ports in one direction: must be at most {MOST_PORT_BITS}"
            )

    @property
    def identity(self) -> str:
        """Class and all constructor parameters. Blocks with equal identities are one module, others never are."""
        cls = type(self)
        parameters = ", ".join(f"{name}={value!r}" for name, value in self._parameters.items())
        return f"{cls.__module__}.{cls.__qualname__}({parameters})"

    @property
    @abstractmethod
    def block_name(self) -> str:
        """Name of the module: class and the parameters that a reader looks for, e.g. ``pe_bf16_p1``."""

    @property
    def macro(self) -> bool:
        """Whether the module is written as ports only, for a hard macro to take its place."""
        return False

    @property
    def observed(self) -> bool:
        """Whether benches look at the ports of the module: no simulator may inline it."""
        return False

    @property
    def clocked(self) -> bool:
        """Whether logic that only registers read is written inside their clocked block, see :mod:`rtl.rewrite.clocked`.

        This pays for a module whose logic works in every cycle. Its wires become local variables, so benches cannot
        look inside.
        """
        return False

    def port_rank(self, name: str) -> int:
        """Sort key of a port in the Verilog module. Ports of equal rank stand in the order of declaration."""
        return 0


@cache
def _constructor(cls: Any) -> inspect.Signature:
    signature = inspect.signature(cls.__init__)
    return signature.replace(parameters=list(signature.parameters.values())[1:])


class BlockPlatform(ABC):
    """An elaboration platform that turns each placed block into an instance of a module converted once."""

    @abstractmethod
    def instance(self, name: str, block: Block) -> Instance:
        """Instance ``name`` of the module of ``block``, connected to the signals of ``block``."""


def place(m: Module, platform: Any, name: str, block: Block) -> None:
    """Make ``block`` the submodule ``name`` of ``m``.

    The caller drives the inputs of ``block`` and reads its outputs either way: in simulation it is a real
    submodule, on a :class:`BlockPlatform` an instance of its module, connected to the same signals.
    """
    on_platform = isinstance(platform, BlockPlatform)
    setattr(m.submodules, name, platform.instance(name, block) if on_platform else block)


def port_values(block: Block) -> dict[str, tuple[Port, Signal]]:
    """Flat ports of ``block`` in the order of the Verilog module, each with its signal.

    Raises
    ------
    ValueError
        If the block or one of its ports has a name that is not a Verilog identifier, two ports have one name, or a port
        has no bits.
    """
    if not _IDENTIFIER.match(block.block_name):
        raise ValueError(f"block name {block.block_name!r} is not a Verilog identifier")
    ports: dict[str, tuple[Port, Signal]] = {}
    for name, member, value in sorted(_flat_members(block), key=lambda flat: block.port_rank(flat[0])):
        if not _IDENTIFIER.match(name):
            raise ValueError(f"{block.block_name}: port name {name!r} is not a Verilog identifier")
        if name in ports:
            raise ValueError(f"{block.block_name}: two ports are named {name}")
        width = Shape.cast(member.shape).width
        if width == 0:
            raise ValueError(f"{block.block_name}: port {name} has no bits: must be at least 1 bit wide")
        direction: Literal["input", "output"] = "input" if member.flow == wiring.In else "output"
        signal = Value.cast(value)
        assert isinstance(signal, Signal)
        ports[name] = Port(name, width, direction), signal
    return ports


def _flat_members(block: Block) -> Iterator[tuple[str, wiring.Member, Any]]:
    """Port members of a block with their Verilog names and values, in the order of declaration."""
    for name, member, value in _flatten("", "", block.signature, block, block._names):
        yield block.port_names.get(name, name), member, value


def _flatten(
    prefix: str, joint: str, signature: Any, interface: Any, names: Names
) -> Iterator[tuple[str, wiring.Member, Any]]:
    for member_name, member in signature.members.items():
        values = _elements(getattr(interface, member_name), (), len(member.dimensions))
        for index, value in values:
            name = _element_name(member_name, index, names)
            flat = f"{prefix}{joint}{name}" if prefix and name else prefix or name
            if member.is_port:
                yield flat, member, value
                continue
            inner = member.signature
            inner_names = getattr(inner, "names", None)
            inner_joint = "__" if inner_names is None else "_"
            yield from _flatten(flat, inner_joint, inner, value, inner_names or {})


def _element_name(member_name: str, index: tuple[int, ...], names: Names) -> str:
    name = names.get(member_name, member_name)
    if isinstance(name, str):
        return "_".join([name, *map(str, index)])
    (number,) = index
    return name(number)


def _elements(value: Any, index: tuple[int, ...], dimensions: int) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Elements of a member that may be an array, with their indices."""
    if not dimensions:
        yield index, value
        return
    for number, element in enumerate(value):
        yield from _elements(element, (*index, number), dimensions - 1)


def check_integers(what: str, *, minimum: int, **values: object) -> None:
    """Refuse parameters that are not integers of at least ``minimum``.

    Raises
    ------
    ValueError
        Naming ``what``, the parameter, its value and what is allowed.
    """
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
            raise ValueError(f"{what}: {name} = {value!r}: must be an integer of at least {minimum}")
