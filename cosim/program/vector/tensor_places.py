"""Where the tensors of a vector program lie, in the scratchpad and in memory, if its rows are cut into blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chiplet.graph.vector_program import ELEMENT_BYTES, Tensor, VectorProgram
from chiplet.machine.specs import MemorySpec, scratchpad_banks

__all__ = ["RowBlocks", "TensorPlace", "scratchpad_words", "tensor_places"]


@dataclass(frozen=True)
class RowBlocks:
    """How the rows of a program are cut.

    Attributes
    ----------
    rows
        Rows of a block; the last one may have fewer.
    buffers
        Places of each input and output in the scratchpad, 1 or 2.
    """

    rows: int
    buffers: int = 1


@dataclass(frozen=True, kw_only=True)
class TensorPlace:
    """Where a tensor lies, as rows of whole words.

    Values of rows are a stored row for each block.

    Attributes
    ----------
    tensor
        The tensor.
    buffers
        First words in the scratchpad; the blocks take them in turn.
    rows, cols
        Rows as they are stored in memory, and elements of one.
    pitch
        Words of a row.
    source, target
        First word in memory, of an input and of an output.
    """

    tensor: Tensor
    buffers: tuple[int, ...]
    rows: int
    cols: int
    pitch: int
    source: int | None = None
    target: int | None = None

    @property
    def words(self) -> int:
        """Words of the whole tensor in memory."""
        return self.rows * self.pitch

    @property
    def varies(self) -> bool:
        """Whether each block has its own part of the tensor."""
        return self.tensor.rows == "rows"

    def word(self, block: int) -> int:
        """First word in the scratchpad of the part of a block."""
        return self.buffers[block % len(self.buffers)]


def tensor_places(
    program: VectorProgram, rows: int, cols: int, blocks: RowBlocks, memory: MemorySpec
) -> dict[str, TensorPlace]:
    """Places one after the other, in the scratchpad and in memory: inputs first, then outputs.

    Matrices begin in banks of their own, as far as there are any, so that those of a pass do not collide. Second
    buffers follow all first ones.
    """
    count = -(-rows // blocks.rows)
    height = min(rows, blocks.rows)
    whole = program.kept_whole
    moved = {*program.inputs, *program.outputs}
    places: dict[str, TensorPlace] = {}
    buffers: dict[str, list[int]] = {name: [] for name in program.tensors}
    for name, tensor in program.tensors.items():
        stored, width = tensor.shape(rows, cols)
        if tensor.spread == "column":
            stored, width = count, height
        pitch = -(-width * ELEMENT_BYTES[tensor.element] // memory.word_bytes)
        places[name] = TensorPlace(tensor=tensor, buffers=(), rows=stored, cols=width, pitch=pitch)
    word = matrices = 0
    for number in range(blocks.buffers):
        for name, place in places.items():
            if number and (name not in moved or name in whole or not place.varies or count == 1):
                continue
            if place.tensor.spread == "matrix":
                word += (matrices - word) % scratchpad_banks(memory)
                matrices += 1
            parts = count if name in whole else 1
            buffers[name] += [word + part * place.pitch for part in range(parts)]
            word += place.pitch * (height if place.tensor.spread == "matrix" else parts)
    address = 0
    for name, place in places.items():
        places[name] = replace(place, buffers=tuple(buffers[name]))
    for name in program.inputs:
        places[name] = replace(places[name], source=address)
        address += places[name].words
    for name in program.outputs:
        places[name] = replace(places[name], target=address)
        address += places[name].words
    return places


def scratchpad_words(places: dict[str, TensorPlace], blocks: RowBlocks) -> int:
    """Words of the scratchpad that the places take."""
    return max(
        place.buffers[-1]
        + place.pitch * (min(blocks.rows, place.rows) if place.tensor.spread == "matrix" else 1)
        for place in places.values()
    )
