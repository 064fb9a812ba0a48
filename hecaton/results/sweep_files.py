"""A sweep on disk: parts while it runs, one Parquet file in the end.

Every finished task leaves a part in a folder beside the result; an interrupted sweep goes on from them. The
result appears complete or not at all, with a row group for each part, in the order of the points.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chiplet.machine.calibration import Calibration
from chiplet.machine.config import dump_toml
from chiplet.sweep.axes import Sweep, SweepAxis, mesh_of
from chiplet.sweep.columns import COLUMNS
from chiplet.sweep.evaluate import Points
from chiplet.sweep.pareto import LARGER_IS_BETTER, pareto_front
from hecaton.terminal.files import write_atomic
from hecaton.version import VERSION

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


class SweepFiles:
    """The result ``output`` of ``sweep`` in ``tasks`` parts, and the folder that these are kept in meanwhile.

    Raises ``ValueError`` when pyarrow is missing, or the folder holds parts of another sweep.
    """

    def __init__(
        self, output: Path, sweep: Sweep, tasks: Sequence[tuple[int, int]], calibration: Calibration | None
    ) -> None:
        try:
            import pyarrow
        except ImportError:
            raise ValueError(
                "hecaton sweep writes Parquet: install hecaton with its extra sweep (pip install 'hecaton[sweep]')"
            ) from None
        del pyarrow
        self._output, self._sweep, self._tasks = output, sweep, tasks
        self._folder = output.with_name(f".{output.name}.parts")
        self._description = _description(sweep, calibration)
        self._start()

    def _start(self) -> None:
        key = hashlib.sha256(json.dumps([self._description, list(self._tasks)]).encode()).hexdigest()
        path = self._folder / "sweep"
        if not path.exists():
            write_atomic(path, key)
        elif path.read_text(encoding="utf-8") != key:
            raise ValueError(
                f"{self._folder}: has parts of an interrupted sweep of another space, machine or version: "
                f"remove it to start anew, or give another output"
            )

    @property
    def missing(self) -> list[int]:
        """Tasks without a part."""
        return [number for number in range(len(self._tasks)) if not self._part(number).exists()]

    def save(self, number: int, points: Points) -> None:
        """Write the part of task ``number``."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns: dict[str, Any] = {"point": pa.array(points.index)}
        columns |= input_columns(self._sweep, points.index)
        columns |= {name: pa.array(points.results[name], from_pandas=True) for name in COLUMNS}
        reasons = pa.DictionaryArray.from_arrays(pa.array(points.reason), pa.array(points.reasons))
        columns["reason"] = reasons.cast(pa.string())
        buffer = pa.BufferOutputStream()
        pq.write_table(pa.table(columns), buffer, compression="zstd")
        write_atomic(self._part(number), buffer.getvalue().to_pybytes())

    def finish(self) -> dict[str, Any]:
        """Join the parts with a column ``pareto`` that says what is on the front; returns counts and the front.

        ``points``: rows; ``fitting``: rows without a reason; ``pareto``: the front's rows with what varies and the
        objectives, the best by the first objective first.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        objectives = list(self._sweep.objectives)
        values: list[NDArray[np.float64]] = []
        for number in range(len(self._tasks)):
            table = pq.read_table(self._part(number), columns=[*objectives, "reason"])
            found = np.column_stack([_floats(table[name]) for name in objectives])
            found[np.asarray(table["reason"].to_pylist(), dtype=object) != ""] = np.nan
            values.append(found)
        every = np.concatenate(values)
        signs = np.array([-1.0 if name in LARGER_IS_BETTER else 1.0 for name in objectives])
        front = pareto_front(every * signs)
        temporary = self._output.with_name(f".{self._output.name}.{os.getpid()}")
        rows: list[dict[str, Any]] = []
        shown = [*input_names(self._sweep), *objectives]
        start, writer = 0, None
        metadata = {"hecaton": json.dumps(self._description)}
        try:
            for number in range(len(self._tasks)):
                table = pq.read_table(self._part(number))
                flags = front[start : start + len(table)]
                start += len(table)
                table = table.append_column("pareto", pa.array(flags))
                if writer is None:
                    schema = table.schema.with_metadata(metadata)
                    writer = pq.ParquetWriter(temporary, schema, compression="zstd")
                if len(table):
                    writer.write_table(table.cast(writer.schema))
                rows += table.select(["point", *shown]).filter(pa.array(flags)).to_pylist()
            if writer is not None:
                writer.close()
            with temporary.open("rb") as stream:
                os.fsync(stream.fileno())
            temporary.replace(self._output)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        shutil.rmtree(self._folder)
        sign = float(signs[0])
        rows.sort(key=lambda row: sign * float(row[objectives[0]]))
        return {
            "points": len(every),
            "fitting": int((~np.isnan(every[:, 0])).sum()) if len(every) else 0,
            "pareto": rows,
        }

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:08d}.parquet"


def input_names(sweep: Sweep) -> list[str]:
    """Columns of what is varied: names of the axes that have values, and ``dies``."""
    names = [
        name
        for axis in (*sweep.outer, *sweep.inner)
        for place, name in enumerate(axis.names)
        if any(values[place] is not None for values in axis.values)
    ]
    return [*names, "dies"]


def input_columns(sweep: Sweep, index: NDArray[np.int64]) -> dict[str, pa.Array]:
    """Arrow columns of what is varied, for the points ``index``."""
    found: dict[str, pa.Array] = {}
    rest = index
    wanted = input_names(sweep)
    for axis in reversed((*sweep.outer, *sweep.inner)):
        rest, place = np.divmod(rest, len(axis.values))
        for name, values in _values(axis):
            if name == "mesh":
                sizes = [mesh_of(value) for value in values]
                found["dies"] = _column([rows * cols for rows, cols in sizes], place)
                values = [f"{rows}x{cols}" for rows, cols in sizes]
            if name in wanted:
                found[name] = _column(values, place)
    return {name: found[name] for name in wanted}


def _values(axis: SweepAxis) -> Iterator[tuple[str, list[Any]]]:
    for name, values in zip(axis.names, zip(*axis.values, strict=True), strict=True):
        yield name, list(values)


def _column(values: Sequence[Any], place: NDArray[np.int64]) -> pa.Array:
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        values = [None if value is None else float(value) for value in values]
    elif len(kinds) > 1:
        values = [None if value is None else str(value) for value in values]
    return pa.array(values).take(pa.array(place))


def _floats(column: Any) -> NDArray[np.float64]:
    floats: NDArray[np.float64] = column.to_numpy()
    return floats


def _description(sweep: Sweep, calibration: Calibration | None) -> Mapping[str, Any]:
    """What a result follows from: written into the file, and what parts are told apart by."""
    return {
        "hecaton": VERSION,
        "configuration": dump_toml(sweep.base),
        "axes": [{"names": axis.names, "values": axis.values} for axis in (*sweep.outer, *sweep.inner)],
        "constraints": [constraint.text for constraint in sweep.constraints],
        "objectives": sweep.objectives,
        "calibration": None if calibration is None else calibration.model_dump(),
    }
