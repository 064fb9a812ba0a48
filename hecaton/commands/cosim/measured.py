"""What the commands that measure one run share: the record is saved and shown, and mismatches end in an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from hecaton.terminal.errors import CheckFailed

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hecaton.terminal.output import Output


class MeasuredRun(Protocol):
    """The record of a run whose results were compared with the golden model."""

    @property
    def file_name(self) -> str: ...
    @property
    def mismatches(self) -> int: ...
    @property
    def sim(self) -> str: ...
    @property
    def simulator_version(self) -> str: ...
    @property
    def wall_seconds(self) -> float: ...

    def model_dump(self, *, mode: str) -> dict[str, Any]: ...
    def model_dump_json(self, *, indent: int) -> str: ...


RecordT = TypeVar("RecordT", bound=MeasuredRun)


def show_record(
    out: Output,
    record: RecordT,
    folder: Path,
    tables: Callable[[RecordT, Mapping[str, object]], RenderableType],
    compared: str,
) -> None:
    """Save ``record`` in ``folder`` and make it the result of the command.

    ``tables`` gets the record and the lines of its provenance. ``compared`` says what the mismatches are of, as in
    ``of 12 results``. Raises ``CheckFailed`` if there are any.
    """
    from hecaton.results.records import save_record

    path = save_record(record, folder)
    provenance = {
        "simulator": f"{record.sim} {record.simulator_version}, {record.wall_seconds:.1f} s",
        "record": str(path),
    }
    out.result({**record.model_dump(mode="json"), "record": str(path)}, tables(record, provenance))
    if record.mismatches:
        raise CheckFailed(f"{record.mismatches} {compared}")
