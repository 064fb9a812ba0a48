"""What the commands that measure one run share: the record is saved and shown, and mismatches end in an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from hecaton.terminal.errors import CheckFailed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from cosim.records.base import Record
    from cosim.records.link_ends import LinkEnds
    from cosim.records.links import LinkFaults
    from hecaton.terminal.output import Output

RecordT = TypeVar("RecordT", bound="Record")


def show_record(
    out: Output,
    record: RecordT,
    folder: Path,
    tables: Callable[[RecordT, Mapping[str, object]], RenderableType],
    *,
    mismatches: int,
    compared: str,
) -> None:
    """Save ``record`` in ``folder`` and make it the result of the command.

    ``tables`` gets the record and the lines of its provenance. ``compared`` follows the number of ``mismatches`` in
    the error line, as in ``of 12 results differ``. Raises ``CheckFailed`` if there are mismatches.
    """
    from hecaton.results.records import save_record

    path = save_record(record, folder)
    provenance = {
        "simulator": f"{record.sim} {record.simulator_version}, {record.wall_seconds:.1f} s",
        "record": str(path),
    }
    out.result({**record.model_dump(mode="json"), "record": str(path)}, tables(record, provenance))
    if mismatches:
        raise CheckFailed(f"{mismatches} {compared}")


def link_lines(faults: LinkFaults | None, ends: LinkEnds | None) -> dict[str, object]:
    """Lines about the links of a package: their faults, and the dies' ends of them, with each that is not healthy.

    None about faults that they did not have, and none without adapters.
    """
    lines: dict[str, object] = {} if faults is None else {"links": faults.model_dump()}
    if ends is None:
        return lines
    unhealthy = {
        f"{end.plane} link of ({end.row}, {end.col}) in the {end.side}": {
            name: value
            for name, value in end.model_dump(exclude={"row", "col", "plane", "side"}).items()
            if value
        }
        for end in ends.unhealthy
    }
    return {**lines, "ends of links": ends.model_dump(exclude={"unhealthy"}), **unhealthy}
