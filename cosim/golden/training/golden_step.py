"""Training steps in numpy, bit for bit as a package computes them: the graph, operator after operator, on all dies.

Nothing here knows of programs, commands or scratchpads. Any order that keeps the graph's dependences gives these bits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from chiplet.graph.graph import Instance
from chiplet.graph.operators import Gather, Move, Product, Reduce, Scatter, VectorRun
from chiplet.graph.sharding import DiePlace
from chiplet.graph.training.sizes import StepSizes
from chiplet.graph.training.training_step import training_step
from chiplet.graph.vector_constants import ConstantSettings
from chiplet.graph.vector_program import VectorProgram
from cosim.golden.numerics import fp32_values
from cosim.golden.training.die_operators import Values, run_product, run_vector
from cosim.golden.training.host import checked_tokens, constant_patterns, fixed_tensors, tile_tensors
from cosim.golden.training.line_operators import gather, reduce_replicas, scatter
from cosim.golden.training.shards import joined, places, sharded, whole_shape
from cosim.golden.training.step_trace import StepTrace
from cosim.golden.vector_program import Tensors

__all__ = ["GoldenTraining", "Parameter", "Weights"]


class Parameter(NamedTuple):
    """A weight or gain by the name of its tensor in the graph, such as ``attention.q.weight``, and its layer."""

    tensor: str
    layer: int | None = None


Weights = dict[Parameter, NDArray[Any]]
"""Whole weights, inputs x outputs (the embedding vocabulary x features), and gains as (features, 1), by parameter."""


class GoldenTraining:
    """A package that trains: weights that are carried from step to step.

    Parameters
    ----------
    sizes
        Sizes of the step; its graph is :attr:`graph`.
    weights
        Initial weights and gains; :attr:`parameters` names them.
    array_rows, lanes
        Rows of the dies' arrays, and lanes of their vector units: both decide the order of sums.
    settings
        Rates and epsilons; ``step`` and ``tokens`` are set here.
    rope_theta
        Base of the rotary angles.

    Raises
    ------
    ValueError
        If a weight is missing, superfluous or of another shape.
    """

    def __init__(
        self,
        sizes: StepSizes,
        weights: Mapping[Parameter, ArrayLike],
        *,
        array_rows: int,
        lanes: int,
        settings: ConstantSettings | None = None,
        rope_theta: float = 10000.0,
    ) -> None:
        self.sizes, self.graph, self.steps = sizes, training_step(sizes), 0
        self._array_rows, self._lanes, self._rope_theta = array_rows, lanes, rope_theta
        self._settings = replace(settings or ConstantSettings(), tokens=sizes.tokens)
        self._held: dict[Parameter, Sequence[Values]] = {}
        self._constants: dict[str, Mapping[str, Values]] = {}
        self._trace: StepTrace | None = None
        self._distribute(weights)

    @property
    def parameters(self) -> dict[Parameter, tuple[int, int]]:
        """Weights and gains of the model, with their shapes."""
        die = self._dies(0)[0]
        return {
            Parameter(name, layer): whole_shape(self.graph.tensors[name], die)
            for name, layer in self._lasting()
            if name.endswith((".weight", ".gain"))
        }

    def weights(self) -> Weights:
        """The weights as they are now, fp32."""
        return {parameter: self.whole(*parameter) for parameter in self.parameters}

    def whole(self, tensor: str, layer: int | None = None) -> NDArray[np.float32]:
        """All parts of a tensor of sums that is there at the end of a step, such as a weight's gradient."""
        patterns = joined(self.graph.tensors[tensor], self._held[Parameter(tensor, layer)], self._dies(0))
        return fp32_values(patterns)

    def shards(self, tensor: str, layer: int | None = None) -> Sequence[Values]:
        """What each die holds of a tensor that is there between steps, or at the end of a step, as patterns."""
        return self._held[Parameter(tensor, layer)]

    def tile_shards(
        self, tile: int, tokens: NDArray[np.integer], labels: NDArray[np.integer]
    ) -> dict[str, Sequence[Values]]:
        """What the host gives each die for a token tile of a batch of (sequences, length) ``tokens``, by tensor."""
        shapes = self.sizes.tile_shapes
        first = sum(shape.sequences for shape in shapes[:tile])
        some = slice(first, first + shapes[tile].sequences)
        given = tile_tensors(self.sizes, tokens[some], labels[some], rope_theta=self._rope_theta)
        return {
            name: sharded(self.graph.tensors[name], whole, self._dies(tile)) for name, whole in given.items()
        }

    def constants(self, program: VectorProgram, step: int) -> Mapping[str, Values]:
        """Patterns of the constants of ``program`` in a step, counted from 1."""
        return constant_patterns(program, self.sizes, replace(self._settings, step=step))

    def _lasting(self) -> list[Parameter]:
        return [
            Parameter(name, layer)
            for name, tensor in self.graph.tensors.items()
            if tensor.life == "run"
            for layer in (range(self.graph.layers) if tensor.layered else (None,))
        ]

    def _dies(self, tile: int | None) -> list[DiePlace]:
        return places(self.sizes, self.sizes.tile_shapes[tile or 0])

    def _distribute(self, weights: Mapping[Parameter, ArrayLike]) -> None:
        shapes = self.parameters
        for parameters, what in ((shapes.keys() - weights, "missing"), (weights.keys() - shapes, "unknown")):
            if parameters:
                first = min(parameters, key=str)
                raise ValueError(f"golden training: weight {first.tensor} of layer {first.layer} is {what}")
        dies, fixed = self._dies(0), fixed_tensors(self.sizes)
        for parameter in self._lasting():
            tensor = self.graph.tensors[parameter.tensor]
            shape = whole_shape(tensor, dies[0])
            whole = fixed.get(parameter.tensor, np.zeros(shape, np.uint32))
            if parameter in shapes:
                values = np.asarray(weights[parameter], np.float32)
                if values.shape != shape:
                    raise ValueError(
                        f"golden training: {parameter.tensor} has shape {values.shape}: must be {shape}"
                    )
                whole = np.ascontiguousarray(values).view(np.uint32)
            self._held[parameter] = sharded(tensor, whole, dies)

    # ---- steps ----

    def step(
        self, tokens: NDArray[np.integer], labels: NDArray[np.integer], *, trace: StepTrace | None = None
    ) -> float:
        """Train on (sequences, length) ``tokens`` with the next token of each as ``labels``; returns the mean loss.

        ``trace`` gets what every operator leaves.

        Raises
        ------
        ValueError
            If tokens or labels are not of the batch's shape or not in the vocabulary.
        """
        given = [
            checked_tokens(name, value, self.sizes)
            for name, value in (("tokens", tokens), ("labels", labels))
        ]
        self.steps += 1
        self._constants, self._trace = {}, trace
        gradients = [key for key in self._held if self.graph.tensors[key.tensor].life in ("step", "batch")]
        for key in gradients:
            del self._held[key]
        tile = None
        shapes = self.sizes.tile_shapes
        self._begin_batch()
        for instance in self.graph.order(len(shapes)):
            if instance.tile is not None and instance.tile != tile:
                tile = instance.tile
                self._begin_tile(tile, *given)
            self._carry_out(instance)
        return float(self.whole("loss.total")[0, 0]) / self.sizes.tokens

    def _begin_batch(self) -> None:
        zeros = np.zeros((self.sizes.rows, 1), np.uint32)
        self._held[Parameter("loss.sum")] = sharded(self.graph.tensors["loss.sum"], zeros, self._dies(0))

    def _begin_tile(self, tile: int, tokens: NDArray[np.integer], labels: NDArray[np.integer]) -> None:
        for name, shards in self.tile_shards(tile, tokens, labels).items():
            self._held[Parameter(name)] = shards

    def _carry_out(self, instance: Instance) -> None:
        operator, layer = instance.operator, instance.layer
        dies, tensors = self._dies(instance.tile), self.graph.tensors

        def held(name: str) -> Sequence[Values]:
            return self._held[self._key(name, layer)]

        scratch: list[list[Tensors]] | None = None
        match operator:
            case Gather():
                results = gather(operator, tensors, held, dies)
            case Scatter():
                results = scatter(operator, tensors, held, dies)
            case Reduce():
                results = reduce_replicas(operator, tensors, held, dies)
            case Product():
                results = {
                    operator.y: [
                        run_product(operator, tensors, mine, die, rows=self._array_rows)
                        for die, mine in zip(dies, self._of_dies(instance, len(dies)), strict=True)
                    ]
                }
            case VectorRun():
                runs = [
                    run_vector(operator, tensors, mine, die, lanes=self._lanes, constants=self._constants_of)
                    for die, mine in zip(dies, self._of_dies(instance, len(dies)), strict=True)
                ]
                results = {name: [of_die[name] for of_die, _ in runs] for name in operator.writes}
                scratch = [kept for _, kept in runs]
            case Move():
                return
            case _:
                raise TypeError(f"golden training: operator {operator.name} is a {type(operator).__name__}")
        for name, shards in results.items():
            self._held[self._key(name, layer)] = shards
        if self._trace is not None:
            self._trace.keep(instance, results, scratch)

    def _key(self, tensor: str, layer: int | None) -> Parameter:
        return Parameter(tensor, self.graph.layer_of(tensor, layer))

    def _of_dies(self, instance: Instance, dies: int) -> list[dict[str, Values]]:
        """What each die holds of the operator's tensors."""
        operator = instance.operator
        keys = {name: self._key(name, instance.layer) for name in (*operator.reads, *operator.writes)}
        return [
            {name: self._held[key][die] for name, key in keys.items() if key in self._held}
            for die in range(dies)
        ]

    def _constants_of(self, program: VectorProgram) -> Mapping[str, Values]:
        if program.name not in self._constants:
            self._constants[program.name] = self.constants(program, self.steps)
        return self._constants[program.name]
