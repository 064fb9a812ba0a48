"""Connections between streams."""

from typing import Any

__all__ = ["joined"]


def joined(source: Any, sink: Any) -> list[Any]:
    """Statements that make what ``source`` sends arrive at ``sink`` in the same cycle."""
    return [
        sink.payload.eq(source.payload),
        sink.valid.eq(source.valid),
        source.ready.eq(sink.ready),
    ]
