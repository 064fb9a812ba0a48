"""The memories of a package that trains: what the host writes before each step, what it reads back and compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from chiplet.graph.graph import TensorKey
from chiplet.graph.operators import VectorRun
from cosim.compile.compiled_step import CompiledStep, DieProgram, StoredTensor
from cosim.compile.images import packed, stored_words, unpacked
from cosim.compile.operators.die_state import ZERO
from cosim.golden.training.golden_step import GoldenTraining, Parameter
from cosim.golden.training.host import fixed_tensors
from cosim.golden.training.step_trace import StepTrace
from cosim.jobs.folder import ResultWords
from cosim.jobs.package import Region

__all__ = ["LOSS", "TrainingMemory", "Words"]

LOSS = "loss.total"
"""The sum of the losses of all tokens, which every die stores."""

Values = NDArray[Any]


class Words(NamedTuple):
    """Words that were compared, and how many of them differ."""

    compared: int
    mismatches: int


class TrainingMemory:
    """The memories behind the IO dies for steps on ``tokens``, (steps, sequences, length + 1).

    ``golden`` has taken no step yet: it gives the initial weights and what the host makes.
    """

    def __init__(self, compiled: CompiledStep, golden: GoldenTraining, tokens: NDArray[np.integer]) -> None:
        self._compiled, self._golden, self._tokens = compiled, golden, tokens
        tiles = compiled.sizes.tile_shapes
        self._largest = max(range(len(tiles)), key=lambda tile: tiles[tile].sequences)
        self._given = {*golden.tile_shards(0, *self.batch(0))}
        self._constant = {"loss.sum", *fixed_tensors(compiled.sizes)}
        self._programs = {
            operator.program.name: operator.program
            for section in compiled.graph.sections
            for operator in section.operators
            if isinstance(operator, VectorRun)
        }

    def batch(self, step: int) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """Tokens of a step, counted from 0, and the next token of each."""
        return self._tokens[step, :, :-1], self._tokens[step, :, 1:]

    # ---- what the host writes ----

    def image(self, number: int) -> dict[int, bytes]:
        """Contents of the memory of a die before the first step, by the address of the first word."""
        die = self._compiled.dies[number]
        initial = {
            tensor.storage.run.word: packed(values, tensor.storage)
            for key, tensor in _stored(die)
            if (values := self._initial(key, number)) is not None
        }
        return _written({**initial, **self._constants(die, 1), **self._of_step(die, number, 0)})

    def writes(self, number: int, step: int) -> dict[int, bytes]:
        """What the host writes into the memory of a die before a step, counted from 0, in the same way: what is not
        what it was in the step before. Nothing before the first step, whose values are in the image.
        """
        if step == 0:
            return {}
        die = self._compiled.dies[number]
        before = {**self._constants(die, step), **self._of_step(die, number, step - 1)}
        now = {**self._constants(die, step + 1), **self._of_step(die, number, step)}
        return _written({address: words for address, words in now.items() if words != before[address]})

    def _initial(self, key: TensorKey, number: int) -> Values | None:
        """What a die's tensor has before the first step; None for what its program writes first, and for tokens."""
        tensor = self._compiled.graph.tensors[key.name]
        if key.name == "loss.sum":
            return np.zeros(self._compiled.dies[number].memory[key].storage.rows, np.uint32).reshape(-1, 1)
        if tensor.home != "memory" or tensor.life != "run":
            return None
        return self._golden.shards(key.name, key.layer)[number]

    def _of_step(self, die: DieProgram, number: int, step: int) -> dict[int, bytes]:
        """Tokens, labels and tables of a step, counted from 0."""
        words = {}
        given: dict[int, Mapping[str, Sequence[Values]]] = {}
        for key, tensor in _stored(die):
            if key.name in self._given:
                tile = self._largest if key.tile is None else key.tile
                if tile not in given:
                    given[tile] = self._golden.tile_shards(tile, *self.batch(step))
                words[tensor.storage.run.word] = packed(given[tile][key.name][number], tensor.storage)
        return words

    def _constants(self, die: DieProgram, step: int) -> dict[int, bytes]:
        """Constants of the vector programs in a step, counted from 1, each in a word."""
        word_bytes = self._compiled.system.memory.word_bytes
        values = {name: self._golden.constants(program, step) for name, program in self._programs.items()}
        return {
            word: int(0 if key == ZERO else values[key[0]][key[1]]).to_bytes(word_bytes, "little")
            for key, word in die.constants.items()
        }

    # ---- what it reads ----

    def results(self, number: int, *, everything: bool) -> list[TensorKey]:
        """Tensors that the program of a die leaves in memory: all of them, or the loss alone."""
        keys = [key for key, _ in _stored(self._compiled.dies[number]) if self._is_result(key)]
        return keys if everything else [key for key in keys if key.name == LOSS]

    def region(self, number: int, key: TensorKey) -> Region:
        """Where a tensor of a die lies."""
        die = self._compiled.dies[number]
        storage = die.memory[key].storage
        return Region(io_die=die.io_die, address=storage.run.word, words=stored_words(storage))

    def compared(
        self, number: int, key: TensorKey, found: ResultWords, trace: StepTrace
    ) -> tuple[Values, Words]:
        """The patterns of a tensor that was read, and its words against those of the golden run.

        ``trace`` is that of the golden run's last step. A word differs if a bit of an element in it is undefined or not
        the golden one.
        """
        storage = self._compiled.dies[number].memory[key].storage
        expected = self._expected(key, number, trace)
        ones = np.full_like(expected, np.iinfo(expected.dtype).max)
        masks, wanted, values, undefined = (
            np.frombuffer(words, np.uint8).reshape(-1, storage.word_bytes)
            for words in (packed(ones, storage), packed(expected, storage), *found)
        )
        wrong = np.count_nonzero(((values ^ wanted | undefined) & masks).any(axis=1))
        return unpacked(found.values, storage), Words(len(values), int(wrong))

    def _is_result(self, key: TensorKey) -> bool:
        return key.name not in self._given | self._constant

    def _expected(self, key: TensorKey, number: int, trace: StepTrace) -> Values:
        if key.tile is not None:
            return trace.of(key.name, layer=key.layer, tile=key.tile)[number]
        return self._golden.shards(*Parameter(key.name, key.layer))[number]


def _stored(die: DieProgram) -> Iterator[tuple[TensorKey, StoredTensor]]:
    """Tensors in the memory of a die that take words."""
    for key, tensor in die.memory.items():
        if stored_words(tensor.storage):
            yield TensorKey(*key), tensor


def _written(words: Mapping[int, bytes]) -> dict[int, bytes]:
    """Contents without those of no words."""
    return {address: content for address, content in words.items() if content}
