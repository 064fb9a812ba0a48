"""Reads Chakra traces back."""

from __future__ import annotations

from typing import Any

from chiplet.export.chakra import messages


def read_trace(content: bytes) -> tuple[Any, list[Any]]:
    """The ``GlobalMetadata`` and the ``Node`` messages of a trace. Raises ``ValueError`` for half a message."""
    classes = messages()
    read: list[Any] = []
    position = 0
    while position < len(content):
        size = shift = 0
        while True:
            if position >= len(content):
                raise ValueError("a trace ends inside the length of a message")
            byte = content[position]
            position += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        if position + size > len(content):
            raise ValueError("a trace ends inside a message")
        message = classes["Node"] if read else classes["GlobalMetadata"]
        read.append(message.FromString(content[position : position + size]))
        position += size
    return read[0], read[1:]
