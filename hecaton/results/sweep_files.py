"""A sweep on disk: parts while it runs, one Parquet file at the end.

Every finished task leaves a part, an Arrow file, in a folder beside the result; an interrupted sweep resumes from
them. The result appears complete or not at all, with a row group for each part, in the order of the points.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from chiplet.machine.calibration import Calibration
from chiplet.machine.config import dump_toml
from chiplet.machine.synthesized.silicon_report import SiliconReport
from chiplet.sweep.axes import Sweep, SweepAxis, has_switch, mesh_of
from chiplet.sweep.columns import COLUMNS
from chiplet.sweep.evaluate import Points, SweepTask, evaluate
from chiplet.sweep.pareto import LARGER_IS_BETTER, pareto_front
from hecaton.version import VERSION
from rtl.emit.output_files import check_output, output_file, write_output

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


def check_points(path: Path) -> None:
    """Refuse a file for the points that cannot be written. Raises as :func:`check_output`, and ``ValueError`` for
    another format than Parquet.
    """
    if path.suffix != ".parquet" and not path.is_dir():
        raise ValueError(f"{path}: its suffix must be .parquet: the points are written in that format only")
    check_output(path)


class SweepPart(NamedTuple):
    """The rows of a task as an Arrow file, and their number."""

    content: bytes
    points: int


def sweep_part(task: SweepTask) -> SweepPart:
    """Evaluate the points of ``task``: in a worker, so that the rows come from it as a file."""
    points = evaluate(task)
    return SweepPart(_encoded(task.sweep, points), len(points.index))


def _encoded(sweep: Sweep, points: Points) -> bytes:
    """The Arrow file of ``points``, whose column ``pareto`` marks those on the front of the part."""
    import pyarrow as pa

    columns: dict[str, Any] = {"point": pa.array(points.index)}
    columns |= input_columns(sweep, points.index)
    columns |= {name: pa.array(points.results[name], from_pandas=True) for name in COLUMNS}
    reasons = pa.DictionaryArray.from_arrays(pa.array(points.reason), pa.array(points.reasons))
    columns["reason"] = reasons.cast(pa.string())
    values = np.column_stack([points.results[name] for name in sweep.objectives])
    values[points.reason != 0] = np.nan
    columns["pareto"] = pa.array(pareto_front(values * _signs(sweep)))
    table = pa.table(columns)
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_file(buffer, table.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as file:
        file.write_table(table)
    content: bytes = buffer.getvalue().to_pybytes()
    return content


def _signs(sweep: Sweep) -> NDArray[np.float64]:
    """What makes smaller values of each objective better."""
    return np.array([-1.0 if name in LARGER_IS_BETTER else 1.0 for name in sweep.objectives])


class SweepFiles:
    """The result ``output`` of ``sweep`` in ``tasks`` parts, and the folder that holds these while the sweep runs.

    Raises ``ValueError`` when pyarrow is missing, or the folder holds parts of another sweep.
    """

    def __init__(
        self,
        output: Path,
        sweep: Sweep,
        tasks: Sequence[tuple[int, int]],
        calibration: Calibration | None = None,
        silicon: Sequence[SiliconReport] = (),
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
        self._description = _description(sweep, calibration, silicon)
        self._start()

    def _start(self) -> None:
        key = hashlib.sha256(json.dumps([self._description, list(self._tasks)]).encode()).hexdigest()
        path = self._folder / "sweep"
        if not path.exists():
            write_output(path, key)
        elif path.read_text(encoding="utf-8") != key:
            raise ValueError(
                f"{self._folder}: has parts of an interrupted sweep of another space, machine or version: "
                f"remove it to start again, or give another output"
            )

    def abandon(self) -> None:
        """Remove the folder of a sweep that has no part yet: there is nothing to continue."""
        if len(self.missing) == len(self._tasks):
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def missing(self) -> list[int]:
        """Numbers of the tasks without a part."""
        return [number for number in range(len(self._tasks)) if not self._part(number).exists()]

    def save(self, number: int, part: SweepPart) -> None:
        """Write the part of task ``number``."""
        write_output(self._part(number), part.content)

    def finish(self) -> dict[str, Any]:
        """Join the parts with a column ``pareto`` that marks the points on the front; return counts and the front.

        ``points``: rows; ``fitting``: rows without a reason; ``pareto``: the rows of the front with the
        varied values and the objectives, the best by the first objective first.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        objectives = list(self._sweep.objectives)
        parts = [self._read(number) for number in range(len(self._tasks))]
        fronts = self._fronts(parts)
        rows: list[dict[str, Any]] = []
        shown = [*input_names(self._sweep), *objectives]
        metadata = {"hecaton": json.dumps(self._description)}
        schema = parts[0].schema.with_metadata(metadata)
        # What repeats from row to row; results seldom do.
        repeated = [name for name in schema.names if name not in COLUMNS]
        with (
            output_file(self._output) as file,
            pq.ParquetWriter(file, schema, compression="zstd", use_dictionary=repeated) as writer,
        ):
            for table, front in zip(parts, fronts, strict=True):
                flags = pa.array(front)
                table = table.set_column(table.schema.get_field_index("pareto"), "pareto", flags)
                if len(table):
                    writer.write_table(table.cast(schema))
                rows += table.select(["point", *shown]).filter(flags).to_pylist()
        shutil.rmtree(self._folder)
        sign = float(_signs(self._sweep)[0])
        rows.sort(key=lambda row: sign * float(row[objectives[0]]))
        return {
            "points": sum(map(len, parts)),
            "fitting": sum(
                pc.sum(pc.and_(pc.equal(part["reason"], ""), pc.is_valid(part[objectives[0]]))).as_py() or 0
                for part in parts
            ),
            "pareto": rows,
        }

    def _read(self, number: int) -> pa.Table:
        """A part, which stays on the disk until it is used."""
        import pyarrow as pa

        return pa.ipc.open_file(pa.memory_map(str(self._part(number)))).read_all()

    def _fronts(self, parts: Sequence[pa.Table]) -> list[NDArray[np.bool_]]:
        """Which rows of each part are on the front of all: only those that are on the front of their part can be."""
        import pyarrow as pa

        own = [_array(part["pareto"]) for part in parts]
        values = [
            np.column_stack([_array(part[name].filter(pa.array(flags))) for name in self._sweep.objectives])
            for part, flags in zip(parts, own, strict=True)
        ]
        front = pareto_front(np.concatenate(values) * _signs(self._sweep))
        ends = np.cumsum([len(some) for some in values])[:-1]
        for flags, of_part in zip(own, np.split(front, ends), strict=True):
            flags[np.flatnonzero(flags)] = of_part
        return own

    def _part(self, number: int) -> Path:
        return self._folder / f"{number:08d}.arrow"


def input_names(sweep: Sweep) -> list[str]:
    """Columns of the varied values: names of the axes that have values, and ``dies``."""
    names = [
        name
        for axis in (*sweep.outer, *sweep.inner)
        for place, name in enumerate(axis.names)
        if any(values[place] is not None for values in axis.values)
    ]
    return [*names, "dies"]


def input_columns(sweep: Sweep, index: NDArray[np.int64]) -> dict[str, pa.Array]:
    """Arrow columns of the varied values, for the points ``index``.

    A switch that the method of a point does not have is null.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    columns: dict[str, pa.Array] = {}
    methods: list[str] = []
    remaining = index
    wanted = input_names(sweep)
    for axis in reversed((*sweep.outer, *sweep.inner)):
        remaining, position = np.divmod(remaining, len(axis.values))
        for name, values in _values(axis):
            if name == "mesh":
                sizes = [mesh_of(value) for value in values]
                columns["dies"] = _column([rows * cols for rows, cols in sizes], position)
                values = [f"{rows}x{cols}" for rows, cols in sizes]
            if name == "method":
                methods, of_method = values, position
            if name in wanted:
                columns[name] = _column(values, position)
    for name in wanted:
        there = np.array([not name.startswith("switches.") or has_switch(method, name) for method in methods])
        if not there.all():
            columns[name] = pc.if_else(pa.array(there[of_method]), columns[name], None)
    return {name: columns[name] for name in wanted}


def _values(axis: SweepAxis) -> Iterator[tuple[str, list[Any]]]:
    for name, values in zip(axis.names, zip(*axis.values, strict=True), strict=True):
        yield name, list(values)


def _column(values: Sequence[Any], position: NDArray[np.int64]) -> pa.Array:
    import pyarrow as pa

    types = {type(value) for value in values if value is not None}
    if types == {int, float}:
        values = [None if value is None else float(value) for value in values]
    elif len(types) > 1:
        values = [None if value is None else str(value) for value in values]
    return pa.array(values).take(pa.array(position))


def _array(column: pa.ChunkedArray) -> NDArray[Any]:
    """The values of a column, in an array of their own."""
    values: NDArray[Any] = np.array(column)
    return values


def _description(
    sweep: Sweep, calibration: Calibration | None, silicon: Sequence[SiliconReport]
) -> Mapping[str, Any]:
    """Everything the result depends on: it is written into the file, and identifies the parts."""
    return {
        "hecaton": VERSION,
        "configuration": dump_toml(sweep.base),
        "clock_follows_stages": sweep.clock_follows_stages,
        "axes": [{"names": axis.names, "values": axis.values} for axis in (*sweep.outer, *sweep.inner)],
        "constraints": [constraint.text for constraint in sweep.constraints],
        "objectives": sweep.objectives,
        "calibration": None if calibration is None else calibration.model_dump(),
        "silicon": [report.model_dump() for report in silicon],
    }
