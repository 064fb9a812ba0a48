"""Packets of a file: traffic that is sent as it stands there."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from rtl.bench.cycle import TIME_BITS
from rtl.bench.traffic import LENGTH_BITS

__all__ = ["MOST_PACKETS", "TracePacket", "read_packets"]

MOST_PACKETS = 1 << 16
"""Packets that one node can send."""


class TracePacket(NamedTuple):
    """A packet: its nodes, the cycle in which it is generated, and its flits."""

    source: int
    target: int
    cycle: int
    flits: int


def read_packets(path: Path, nodes: int) -> tuple[TracePacket, ...]:
    """The packets of a CSV file, with a header of the names of :class:`TracePacket`, in the order of their cycles.

    Raises
    ------
    ValueError
        For a file that has no packet, a wrong header or value, or too many packets of a node. The message gives line
        and column.
    OSError
        If the file cannot be read.
    """
    names = TracePacket._fields
    limits = {
        "source": (0, nodes - 1),
        "target": (0, nodes - 1),
        "cycle": (0, (1 << TIME_BITS - 1) - 1),
        "flits": (1, (1 << LENGTH_BITS) - 1),
    }
    packets: list[TracePacket] = []
    sent = [0] * nodes
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, strict=True)
            header = [name.strip() for name in next(rows, [])]
            if header != list(names):
                raise ValueError(f"{path}, line 1: {','.join(header)!r}: must be {','.join(names)}")
            for row in rows:
                if not row:
                    continue
                line = f"{path}, line {rows.line_num}"
                if len(row) != len(names):
                    raise ValueError(f"{line}: {len(row)} columns: must be {len(names)}, {','.join(names)}")
                values = []
                for name, text in zip(names, row, strict=True):
                    low, high = limits[name]
                    digits = text.strip()
                    if not (digits.isascii() and digits.isdigit() and low <= int(digits[:20]) <= high):
                        raise ValueError(
                            f"{line}, column {name}: {text!r}: must be an integer from {low} to {high}"
                        )
                    values.append(int(digits))
                packet = TracePacket(*values)
                sent[packet.source] += 1
                if sent[packet.source] > MOST_PACKETS:
                    raise ValueError(
                        f"{line}, column source: more than {MOST_PACKETS} packets of node {packet.source}: must be at "
                        "most that"
                    )
                packets.append(packet)
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is not UTF-8: must be a CSV file") from None
    except csv.Error as error:
        raise ValueError(f"{path}, line {rows.line_num}: {error}: must be a CSV file") from None
    if not packets:
        raise ValueError(f"{path}: no packets: must be at least one line after the header")
    return tuple(sorted(packets, key=lambda packet: packet.cycle))
