"""What a run of traffic is like unless it is told otherwise. Light to import: the help of the command names them."""

from __future__ import annotations

PATTERN = "uniform"
"""Where packets go."""

PACKET_FLITS = 1
"""Flits of a packet."""

HOTSPOT = 0
"""Die that all send to with the pattern hotspot."""

CYCLES = 5000
"""Cycles that are measured."""

WARMUP = 1000
"""Cycles before them."""
