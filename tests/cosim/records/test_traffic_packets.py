"""Packets of a file: order, and what is refused by line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosim.records.traffic_packets import TracePacket, read_packets

HEADER = "source,target,cycle,flits\n"


def test_packets_come_in_the_order_of_their_cycles(tmp_path: Path) -> None:
    file = tmp_path / "packets.csv"
    file.write_text(f"{HEADER}0,3,9,1\n\n 1, 2 ,0,65535\n1,0,9,2\n")
    assert read_packets(file, 4) == (
        TracePacket(1, 2, 0, 65535),
        TracePacket(0, 3, 9, 1),
        TracePacket(1, 0, 9, 2),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: '': must be source,target,cycle,flits"),
        ("a,b\n", "line 1: 'a,b': must be source,target,cycle,flits"),
        (HEADER, "no packets: must be at least one line after the header"),
        (f"{HEADER}0,1,0\n", "line 2: 3 columns: must be 4, source,target,cycle,flits"),
        (f"{HEADER}0,1,0,1\n4,1,0,1\n", "line 3, column source: '4': must be an integer from 0 to 3"),
        (f"{HEADER}0,-1,0,1\n", "line 2, column target: '-1': must be an integer from 0 to 3"),
        (f"{HEADER}0,1,1e3,1\n", "line 2, column cycle: '1e3': must be an integer from 0 to 2147483647"),
        (f"{HEADER}0,1,0,0\n", "line 2, column flits: '0': must be an integer from 1 to 65535"),
    ],
)
def test_what_is_wrong_is_refused_by_line_and_column(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "packets.csv"
    file.write_text(text)
    with pytest.raises(ValueError, match="must be") as caught:
        read_packets(file, 4)
    place, _, rest = str(caught.value).partition(str(file))
    assert place == ""
    assert rest.lstrip(",: ") == message
