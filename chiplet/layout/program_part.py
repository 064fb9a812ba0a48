"""A vector program on a part of what a die holds: its size, its tensors, and the pieces that a pass goes over."""

from __future__ import annotations

from collections.abc import Mapping

from chiplet.graph.operators import ProgramOperand, VectorRun
from chiplet.graph.sharding import DiePlace, ShardedTensor
from chiplet.graph.vector_pass import VectorPass
from chiplet.graph.vector_program import ProgramPass, Tensor, VectorProgram
from chiplet.layout.operator_parts import Part, part_of
from chiplet.layout.storage import Storage, matrix_storage, value_storage

__all__ = ["ProgramPart", "pass_pieces"]


class ProgramPart:
    """A vector program on a part of a die's tensors.

    Parameters
    ----------
    operator, tensors, die
        The operator, the tensors of the graph, and the die.
    part
        What it takes of them.
    held
        Where the die's tensors lie, by name.

    Attributes
    ----------
    rows, cols
        Of the matrix that the program works on.
    layouts
        What the part takes of each tensor that is bound, by its name in the program.
    """

    def __init__(
        self,
        operator: VectorRun,
        tensors: Mapping[str, ShardedTensor],
        die: DiePlace,
        part: Part,
        held: Mapping[str, Storage],
    ) -> None:
        self._operator, self._tensors, self._die, self._part = operator, tensors, die, part
        self.layouts = {
            name: self.bound(operand, held[operand.tensor]) for name, operand in operator.bind.items()
        }
        self.rows, self.cols = self._size()

    @property
    def there(self) -> bool:
        """Whether the die has anything of the part."""
        return self.rows > 0 and self.cols > 0

    def _size(self) -> tuple[int, int]:
        rows: list[int] = []
        cols = 1
        program, offset = self._operator.program, self._operator.offset
        for name, layout in self.layouts.items():
            tensor = program.tensors[name]
            if tensor.spread == "matrix":
                rows.append(layout.rows)
                cols = layout.cols * (2 if tensor.cols == "half" else 1)
            elif tensor.spread == "column":
                rows.append(layout.rows)
            elif tensor.spread == "row":
                cols = layout.rows
        if offset is not None:
            cols = len(offset.part(self._die))
        return min(rows, default=1), cols

    def bound(self, operand: ProgramOperand, storage: Storage) -> Storage:
        """What the part takes of a tensor in ``storage``."""
        tensor = self._tensors[operand.tensor]
        if operand.member is not None:
            row = storage.rows_of(operand.member, 1)
            return value_storage(row.element, row.word_bytes, row.cols, row.run.word)
        storage = part_of(storage, tensor, self._part, self._operator.each, self._die)
        if operand.half:
            half = storage.cols // 2
            storage = storage.cols_of(0 if operand.half == "low" else half, half)
        spreads = {
            self._operator.program.tensors[name].spread
            for name, bound in self._operator.bind.items()
            if bound == operand
        }
        if not storage.values and storage.rows == 1 and spreads == {"column"}:
            return value_storage(storage.element, storage.word_bytes, storage.cols, storage.run.word)
        if storage.values and spreads == {"matrix"}:
            # A matrix of one column lies as a row; programs that take such a one go element by element.
            values, word = storage.rows, storage.run.word
            return matrix_storage(storage.element, storage.word_bytes, 1, [values], word)
        return storage

    def scratch_layout(self, tensor: Tensor, word_bytes: int) -> Storage:
        """Layout of a tensor that only the program knows."""
        rows, cols = tensor.shape(self.rows, self.cols)
        if tensor.spread == "matrix":
            return matrix_storage(tensor.element, word_bytes, rows, self._pieces(cols))
        return value_storage(tensor.element, word_bytes, max(rows, cols))

    def _pieces(self, cols: int) -> list[int]:
        for layout in self.layouts.values():
            if not layout.values and layout.cols == cols:
                return [piece.cols for piece in layout.pieces]
        return [cols]


def pass_pieces(
    program: VectorProgram,
    step: ProgramPass,
    work: VectorPass,
    storages: Mapping[str, Storage],
    cols: int,
    label: str,
) -> list[tuple[int | None, int]]:
    """Pieces of the ``cols`` columns that a pass goes over one by one, with the columns of each; None: all at a time.

    Raises
    ------
    ValueError
        If the pass needs whole rows of a matrix that has gaps between its pieces.
    """
    matrices = [
        storages[name]
        for name in (*step.operands.values(), *([step.y] if step.y else []))
        if not step.statistics and program.tensors[name].spread == "matrix"
    ]
    if all(matrix.dense for matrix in matrices):
        return [(None, cols)]
    cut = {tuple(piece.cols for piece in matrix.pieces) for matrix in matrices}
    if len(cut) > 1 or work.reduction != "none" or work.causal or work.op1 == "pick":
        raise ValueError(f"{label}: pass over pieces of a row that need it whole: {sorted(cut)}")
    return [(number, piece.cols) for number, piece in enumerate(matrices[0].pieces)]
