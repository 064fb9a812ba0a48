"""Commands of a die's program: their fields, and the only place that knows which bits these are.

A program is a sequence of commands of 256 bits in memory. The command processor reads them in order and hands
each to the queue of its unit (load, feeds, array, drain, vector, store, engine); SET is carried out by the processor
itself. Units run at the same time and are ordered by counting semaphores: a command starts when its semaphores
``wait_0`` and ``wait_1`` are above zero (and takes one from each), and adds one to ``post_0`` and ``post_1`` when its
effect can be seen by others. A field of a semaphore holds its number, 1 to 63; 0 is none.

What a program has to keep, which :mod:`cosim.program.checker` proves:

- Counts are at least 1, which :func:`check_fields` checks: a unit never ends a command that has nothing to do.
- Only one unit waits on a semaphore. One that stands in several fields of a command is taken once where several of
  them apply; posts likewise. A semaphore counts to 65535; one more is an error. All are 0 when a program starts.
- A SET names its semaphores in its first places, without a gap: it ends at the first place that names none.
- A semaphore is set while no unit takes or posts it: what is posted in the cycle of the set is lost.
- What a SEND forwards is what one RECEIVE, of the opposite side or with `turn` of the same one, forwards: as many
  chunks of as many flits. It forwards at least one chunk, or has at least one of its own.
- What a RECEIVE hands over is what one RECEIVE of the opposite side joins; both add.
- The dies that a SEND reaches take its chunks with RECEIVE commands, in the order in which they arrive from that side.
- What one unit writes and another one reads or writes is ordered by semaphores, word by word.
- Panels of GEMM commands that share sums begin at the same accumulator address, unless a semaphore orders them:
  one sum then never comes back to the adder of its column while it is still in it.
"""

from collections.abc import Mapping
from enum import IntEnum

from amaranth.hdl import Const
from amaranth.lib import data

from chiplet.machine.specs import BUFFER_ADDRESS_BITS, COMMAND_BYTES, COUNT_BITS, MEMORY_ADDRESS_BITS

__all__ = [
    "COMMAND_BITS",
    "COUNT_BITS",
    "DRAIN",
    "FEED_ACTIVATION",
    "FEED_SUMS",
    "FEED_WEIGHT",
    "FIELDS",
    "GEMM",
    "HEADER",
    "LAYOUTS",
    "LOAD",
    "MEMORY_ADDRESS_BITS",
    "NUMBER_BITS",
    "RECEIVE",
    "SEMAPHORES",
    "SEMAPHORE_BITS",
    "SEND",
    "SET",
    "SET_PLACES",
    "STORE",
    "USES",
    "VECTOR",
    "Opcode",
    "Side",
    "check_fields",
    "decode",
    "encode",
]

COMMAND_BITS = 8 * COMMAND_BYTES
SEMAPHORES = 64
"""Numbers of semaphores; number 0 is none."""
NUMBER_BITS = 6
SEMAPHORE_BITS = 16
PITCH_BITS = 24
SET_PLACES = 10
"""Semaphores that one SET gives a value."""
_COUNTS = frozenset(
    {"rows", "cols", "words", "panels", "last_cols", "m", "k_tiles", "last_k", "chunks", "flits"}
)


class Opcode(IntEnum):
    """What a command does. Zero is no command, so that a cleared memory is an error and not a program."""

    SET = 1
    LOAD = 2
    FEED_ACTIVATION = 3
    FEED_WEIGHT = 4
    FEED_SUMS = 5
    GEMM = 6
    DRAIN = 7
    STORE = 8
    SEND = 9
    RECEIVE = 10
    VECTOR = 11


class Side(IntEnum):
    """Side of the die where the engine sends or receives."""

    NORTH = 0
    EAST = 1
    SOUTH = 2
    WEST = 3


_BUFFER = BUFFER_ADDRESS_BITS

_HEADER = {
    "opcode": (5, "the command, see above"),
    "wait_0": (NUMBER_BITS, "a semaphore taken before the command starts; 0: none"),
    "wait_1": (NUMBER_BITS, "another one"),
    "post_0": (NUMBER_BITS, "a semaphore posted when all of its effect can be seen; 0: none"),
    "post_1": (NUMBER_BITS, "another one"),
}

_FEED = _HEADER | {
    "row_wait": (NUMBER_BITS, "a semaphore taken before each row is read"),
    "base": (_BUFFER, "first buffer address"),
    "pitch": (_BUFFER, "buffer addresses from one panel of B columns to the next, at least `rows`"),
    "lane": (10, "bank of the first element"),
    "rows": (COUNT_BITS, "rows of the block"),
    "cols": (COUNT_BITS, "elements of a row"),
    "words": (COUNT_BITS, "words of a row: `cols` elements in whole words"),
    "source": (_BUFFER, "scratchpad word of the first element"),
    "source_pitch": (_BUFFER, "scratchpad words from one row to the next"),
}

_SUMS = {
    "base": (_BUFFER, "accumulator address of the first panel"),
    "step": (_BUFFER, "accumulator addresses from one panel to the next"),
    "wrap": (_BUFFER, "accumulator address at which panels start again at 0"),
    "rows": (COUNT_BITS, "rows of a panel"),
    "panels": (COUNT_BITS, "panels of up to C columns"),
    "last_cols": (10, "columns of the last panel, 1 to C"),
}

_VECTOR_OPERANDS: dict[str, tuple[int, str]] = {}
for _name in ("a", "b", "d"):
    _VECTOR_OPERANDS |= {
        _name: (_BUFFER, f"first scratchpad word of operand {_name}"),
        f"{_name}_pitch": (12, "scratchpad words from one row to the next, of a matrix"),
        f"{_name}_spread": (2, "0 one value, 1 a value for each row, 2 one row, 3 a matrix"),
        f"{_name}_bf16": (1, "1: bf16; 0: 32 bits an element"),
    }

FIELDS: Mapping[Opcode, Mapping[str, tuple[int, str]]] = {
    Opcode.SET: _HEADER
    | {
        f"{name}_{n}": (width, use)
        for n in range(SET_PLACES)
        for name, width, use in (
            ("semaphore", NUMBER_BITS, "a semaphore; 0: none"),
            ("value", SEMAPHORE_BITS, "its value"),
        )
    },
    Opcode.LOAD: _HEADER
    | {
        "row_post": (NUMBER_BITS, "a semaphore posted when a row is in the scratchpad"),
        "base": (_BUFFER, "first scratchpad word"),
        "pitch": (_BUFFER, "scratchpad words from one row to the next"),
        "rows": (COUNT_BITS, "rows of the block"),
        "words": (COUNT_BITS, "words of a row"),
        "address": (MEMORY_ADDRESS_BITS, "memory word of the first one"),
        "memory_pitch": (PITCH_BITS, "memory words from one row to the next"),
    },
    Opcode.FEED_ACTIVATION: _FEED,
    Opcode.FEED_WEIGHT: _FEED,
    Opcode.FEED_SUMS: _HEADER
    | {
        "row_wait": (NUMBER_BITS, "a semaphore taken before each row is read"),
        "panel_wait": (NUMBER_BITS, "a semaphore taken before each panel"),
        "panel_post": (NUMBER_BITS, "a semaphore posted when a panel is in the accumulator buffer"),
        **_SUMS,
        "source": (_BUFFER, "scratchpad word of the first sum"),
        "source_pitch": (_BUFFER, "scratchpad words from one row to the next"),
    },
    Opcode.DRAIN: _HEADER
    | {
        "row_post": (NUMBER_BITS, "a semaphore posted when a row of all panels is in the scratchpad"),
        "panel_wait": (NUMBER_BITS, "a semaphore taken before each panel"),
        "panel_post": (NUMBER_BITS, "a semaphore posted when a panel has left the accumulator buffer"),
        **_SUMS,
        "target": (_BUFFER, "scratchpad word of the first sum"),
        "target_pitch": (_BUFFER, "scratchpad words from one row to the next"),
        "cast": (1, "1: sums leave as bf16"),
    },
    Opcode.STORE: _HEADER
    | {
        "row_wait": (NUMBER_BITS, "a semaphore taken before each row is read"),
        "base": (_BUFFER, "first scratchpad word"),
        "pitch": (_BUFFER, "scratchpad words from one row to the next"),
        "rows": (COUNT_BITS, "rows of the block"),
        "words": (COUNT_BITS, "words of a row"),
        "address": (MEMORY_ADDRESS_BITS, "memory word of the first one"),
        "memory_pitch": (PITCH_BITS, "memory words from one row to the next"),
    },
    Opcode.GEMM: _HEADER
    | {
        "panel_wait": (NUMBER_BITS, "a semaphore taken before the weights of each panel enter the array"),
        "panel_post": (NUMBER_BITS, "a semaphore posted when the sums of a panel can be read"),
        "accumulate": (1, "1: add to the sums that are there; 0: replace them"),
        "activation_column": (1, "1: activation vectors are columns of the stored block (X^T dY)"),
        "weight_column": (1, "1: weight vectors are columns of the stored block (dY W^T)"),
        "activation_base": (_BUFFER, "buffer address of the activation block"),
        "activation_pitch": (_BUFFER, "its `pitch`, as in FEED_ACTIVATION"),
        "weight_base": (_BUFFER, "buffer address of the weight block"),
        "weight_pitch": (_BUFFER, "its `pitch`, as in FEED_WEIGHT"),
        "accumulator_base": (_BUFFER, "accumulator address of the first panel"),
        "accumulator_step": (_BUFFER, "accumulator addresses from one panel to the next"),
        "accumulator_wrap": (_BUFFER, "accumulator address at which panels start again at 0"),
        "m": (COUNT_BITS, "rows of the streamed operand"),
        "k_tiles": (COUNT_BITS, "tiles of R along K"),
        "last_k": (10, "summed elements of the last K tile, 1 to R"),
        "panels": (COUNT_BITS, "panels of C columns along N"),
        "last_cols": (10, "columns of the last panel, 1 to C"),
    },
    Opcode.SEND: _HEADER
    | {
        "word_wait": (NUMBER_BITS, "a semaphore taken before each word behind the `own` chunks is read"),
        "side": (2, "side that it leaves by: 0 north, 1 east, 2 south, 3 west"),
        "own": (
            COUNT_BITS,
            "chunks, the first ones, that are in the scratchpad whatever `forward` says",
        ),
        "ahead": (1, "1: the words of these may be read before `wait_0` and `wait_1` are taken"),
        "forward": (1, "1: send what a receive unit forwards; 0: what is in the scratchpad"),
        "turn": (1, "1: that of the same side forwards; 0: that of the opposite side"),
        "copy": (1, "1: the dies on the way take a copy"),
        "target": (8, "column (east, west) or row (north, south) of the die that it goes to"),
        "base": (_BUFFER, "first word of the first chunk in the scratchpad"),
        "pitch": (_BUFFER, "words from one chunk to the next, modulo 2^20"),
        "lap": (COUNT_BITS, "chunks, behind which `wrap` is added to the address as well; 0: nowhere"),
        "wrap": (_BUFFER, "words, modulo 2^20"),
        "chunks": (COUNT_BITS, "chunks, each a packet"),
        "flits": (COUNT_BITS, "flits of a chunk"),
    },
    Opcode.RECEIVE: _HEADER
    | {
        "word_wait": (NUMBER_BITS, "a semaphore taken before each word to be added to is read"),
        "word_post": (
            NUMBER_BITS,
            "a semaphore posted when a word has been written; with `keep` a word of what is forwarded",
        ),
        "side": (2, "side that it arrives from, as in SEND"),
        "add": (1, "1: add what is in the scratchpad, in 32-bit sums; 0: take it as it is"),
        "by_source": (
            1,
            "1: `base` is that of sender 0, and `pitch` from one sender to the next; 0: of one chunk. Not with `add`",
        ),
        "hand": (1, "1: hand what is not forwarded to the opposite side's receive unit; 0: write it"),
        "join": (1, "1: add what is not forwarded to what the opposite side's receive unit hands over"),
        "forwarded": (COUNT_BITS, "chunks, the first ones, that are forwarded to a send unit"),
        "keep": (
            2,
            "what is forwarded is 0: not written; 1: written, too; 2: only written, for a SEND with `word_wait`",
        ),
        "turn": (1, "1: it goes to the send unit of the same side; 0: to that of the opposite side"),
        "base": (_BUFFER, "first word of the first chunk in the scratchpad"),
        "pitch": (_BUFFER, "words from one chunk to the next, modulo 2^20"),
        "lap": (COUNT_BITS, "chunks, behind which `wrap` is added to the address as well; 0: nowhere"),
        "wrap": (_BUFFER, "words, modulo 2^20"),
        "chunks": (COUNT_BITS, "chunks, each a packet"),
        "flits": (COUNT_BITS, "flits of a chunk"),
    },
    Opcode.VECTOR: _HEADER
    | {
        "wait_2": (NUMBER_BITS, "another one"),
        "op1": (
            3,
            "s: 0 a, 1 a + b, 2 a - b, 3 a * b, 4 the larger one, 5 a where label b = column + `offset`, else 0",
        ),
        "function": (3, "f: 0 s, 1 e^s, 2 2^s, 3 1 / s, 4 1 / sqrt(s), 5 natural logarithm of s"),
        "negate": (1, "1: of -s"),
        "op2": (3, "y: 0 f, 1 f + d, 2 f - d, 3 f * d, 4 d - f"),
        "reduction": (2, "0 none, 1 sum of each row of y, 2 its largest value; fp32"),
        "causal": (1, "1: a is -Inf where column > row + `offset`"),
        "offset": (16, "signed; see `op1`, `causal`"),
        "result": (2, "y is 0 not written, 1 written as fp32, 2 as bf16"),
        **_VECTOR_OPERANDS,
        "y": (_BUFFER, "first scratchpad word of y"),
        "y_pitch": (12, "scratchpad words from one row of y to the next"),
        "row": (_BUFFER, "first scratchpad word of the values of rows, side by side"),
        "rows": (COUNT_BITS, "rows of the pass"),
        "cols": (COUNT_BITS, "elements of a row"),
    },
}
"""Fields of each command from bit 0 up: width in bits, and meaning."""

USES: Mapping[Opcode, str] = {
    Opcode.SET: "gives semaphores a value, one a cycle, before any later command is handed out",
    Opcode.LOAD: "copies `rows` x `words` whole words from memory to the scratchpad",
    Opcode.FEED_ACTIVATION: "copies a `rows` x `cols` block from the scratchpad into the activation buffer of R banks",
    Opcode.FEED_WEIGHT: "copies a `rows` x `cols` block from the scratchpad into the weight buffer of C banks",
    Opcode.FEED_SUMS: "copies panels of 32-bit sums from the scratchpad into the accumulator buffer",
    Opcode.DRAIN: "copies panels of sums from the accumulator buffer to the scratchpad, side by side in a row",
    Opcode.STORE: "copies `rows` x `words` whole words from the scratchpad to memory",
    Opcode.GEMM: "runs `panels` x `k_tiles` stationary tiles of `m` activation rows each, out of the buffers",
    Opcode.SEND: "sends chunks along a row or column, as a packet each; only on a die with an engine",
    Opcode.RECEIVE: "takes chunks that arrive from one side, and may add to them; only on a die with an engine",
    Opcode.VECTOR: "one pass of the vector unit over `rows` x `cols` elements in the scratchpad; only on a bf16 die",
}
"""What each command does."""


def _layout(fields: Mapping[str, tuple[int, str]]) -> data.StructLayout:
    return data.StructLayout({name: width for name, (width, _) in fields.items()})


HEADER = _layout(_HEADER)
"""Fields that every command has."""

LAYOUTS: Mapping[Opcode, data.StructLayout] = {opcode: _layout(fields) for opcode, fields in FIELDS.items()}
"""Layout of each command, to make and to read its bits."""

SET, LOAD, FEED_ACTIVATION, FEED_WEIGHT, FEED_SUMS, GEMM, DRAIN, STORE, SEND, RECEIVE, VECTOR = (
    LAYOUTS[opcode] for opcode in Opcode
)


def check_fields(opcode: Opcode, fields: Mapping[str, int]) -> None:
    """Check the fields of a command. Fields not given are 0, which no count may be.

    Raises ValueError for a field that the command does not have, or a value that is out of its range.
    """
    widths = {name: width for name, (width, _) in FIELDS[opcode].items() if name != "opcode"}
    for name in sorted(fields.keys() - widths.keys()):
        raise ValueError(f"command {opcode.name} has no field {name}: has {', '.join(widths)}")
    for name, width in widths.items():
        value, least, most = fields.get(name, 0), int(name in _COUNTS), (1 << width) - 1
        if not least <= value <= most:
            raise ValueError(f"{opcode.name}.{name} = {value} is out of range: must be {least} to {most}")


def encode(opcode: Opcode, **fields: int) -> int:
    """Return a command as a number of ``COMMAND_BITS`` bits. Raises ValueError as :func:`check_fields`."""
    check_fields(opcode, fields)
    return Const.cast(LAYOUTS[opcode].const({"opcode": opcode.value, **fields})).value


def decode(command: int) -> tuple[Opcode, dict[str, int]]:
    """Return opcode and fields of an encoded command. Raises ValueError for a number that is no command."""
    try:
        opcode = Opcode(code := command & (1 << HEADER["opcode"].width) - 1)
    except ValueError:
        raise ValueError(f"no command: opcode {code} is not one of {[o.value for o in Opcode]}") from None
    fields = {}
    for name, field in LAYOUTS[opcode]:
        fields[name] = command >> field.offset & (1 << field.width) - 1
    del fields["opcode"]
    return opcode, fields
