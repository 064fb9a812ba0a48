"""Co-simulation of one vector program: make the die's program, simulate, compare with the golden model, record."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np

from chiplet.graph.pass_cycles import beat_cycles
from chiplet.graph.vector_programs import vector_program
from chiplet.machine.specs import function_lanes, vector_lanes
from chiplet.machine.terms import DieTerms
from cosim.backends.base import Backend
from cosim.backends.registry import backend
from cosim.golden.vector_program import Tensors, random_inputs, run_vector_program
from cosim.observe.observation import NOTHING, Observation
from cosim.predict.vector import least_vector_cycles, predict_vector
from cosim.program.vector.die_vector_program import DieVectorProgram
from cosim.program.vector.row_blocks import row_blocks, schedule_vector
from cosim.program.vector.tensor_places import RowBlocks
from cosim.records.vector import VectorRecord, VectorRequest
from cosim.run.die import DieRun
from cosim.run.simulation import Progress
from rtl.emit.emitter import Emitted

__all__ = ["PreparedVector", "prepare", "run_vector"]


@dataclass(frozen=True, kw_only=True)
class PreparedVector:
    """A vector program that was checked and is ready to run.

    Attributes
    ----------
    request
        What to run.
    made
        The program of the die.
    simulator, observation
        What runs it, and what else to keep of the run.
    """

    request: VectorRequest
    made: DieVectorProgram
    simulator: Backend
    observation: Observation

    @property
    def die_run(self) -> DieRun:
        """The run of the die's program."""
        request, made = self.request, self.made
        return DieRun(
            die=request.die,
            memory=request.memory,
            vector=request.vector,
            commands=made.commands,
            memory_words=made.memory_words,
            program_address=made.program_address,
            inputs=range(made.result_address),
            results=range(made.result_address, made.result_address + made.result_words),
            interval=request.interval,
            stall=request.stall,
            seed=request.seed,
        )

    def emit(self) -> Emitted:
        """Return the Verilog of the bench."""
        return self.die_run.emit()

    def inputs(self) -> Tensors:
        """Random inputs, and the constants of the program."""
        request, made = self.request, self.made
        rng = np.random.default_rng(request.seed)
        return random_inputs(made.program, rng, rows=made.rows, cols=made.cols, operands=request.operands)

    def run(self, terms: DieTerms | None = None, progress: Progress | None = None) -> VectorRecord:
        """Run the program on the generated die and return the record.

        ``terms`` are those of the prediction: the design's unless given. ``progress`` is called periodically with
        the completed fraction of the predicted cycles.

        Raises
        ------
        ValueError
            If the program breaks what a program must keep.
        SimulationError
            If the simulator is missing, or the die does not finish.
        OSError
            If a file of the observation cannot be written.
        """
        request, made = self.request, self.made
        die, memory = request.die, request.memory
        run = self.die_run
        run.check()
        lanes = vector_lanes(request.vector, memory)
        rate: dict[str, int] = {
            "lanes": lanes,
            "function_lanes": function_lanes(request.vector, memory),
            "word_bytes": memory.word_bytes,
        }
        passes = list(made.passes)
        inputs = self.inputs()
        tensors = run_vector_program(
            made.program,
            inputs,
            rows=made.rows,
            cols=made.cols,
            lanes=lanes,
            causal=made.causal,
            offset=made.offset,
        )
        expected = {name: tensors[name] for name in made.program.outputs}
        predicted = predict_vector(
            made.commands,
            die,
            memory,
            terms or DieTerms.of_design(die),
            vector=request.vector,
            interval=request.interval,
        )

        simulated = run.simulate(
            self.simulator,
            made.images(inputs),
            predicted=predicted,
            # Random stalls delay requests and words, each by so much in the mean.
            most_cycles=int(4 * predicted / (1 - request.stall) ** 2) + 10_000,
            title=f"{request.program} {request.rows}x{request.cols}",
            observation=self.observation,
            progress=progress,
        )

        counters, result = simulated.outcome
        values, undefined = (made.outputs(image, expected) for image in result)
        differ = [(values[name] != bits) | (undefined[name] != 0) for name, bits in expected.items()]
        return VectorRecord(
            request=request,
            program=request.program,
            rows=request.rows,
            cols=request.cols,
            lanes=lanes,
            function_lanes=rate["function_lanes"],
            blocks=made.block_count,
            block_rows=made.blocks.rows,
            buffers=made.blocks.buffers,
            passes=len(passes),
            cycles=counters["cycles"],
            vector_cycles=counters["vector_busy"] - counters["vector_stall_semaphore"],
            beat_cycles=sum(
                int(beat_cycles(work, rows=rows, cols=cols, **rate)) for work, rows, cols in passes
            ),
            predicted_cycles=round(predicted),
            mismatches=sum(int(np.count_nonzero(wrong)) for wrong in differ),
            results=sum(bits.size for bits in expected.values()),
            counters=counters,
            commands=len(made.commands),
            seed=request.seed,
            **simulated.provenance,
        )


NOT_PREDICTED: dict[str, Any] = {"seed": 0, "stall": 0.0, "operands": "normal", "sim": ""}
"""What the blocks of a request do not depend on."""


@lru_cache(maxsize=64)
def _fastest_blocks(request: VectorRequest) -> RowBlocks:
    """The blocks of rows with the fewest predicted cycles among those that fit.

    A larger scratchpad has more to choose from, so it never takes more cycles.
    """
    die, memory, vector, interval = request.die, request.memory, request.vector, request.interval
    program = vector_program(request.program, lines=request.lines)
    ways = []
    for blocks in row_blocks(die, memory, program, rows=request.rows, cols=request.cols):
        made = schedule_vector(
            die,
            memory,
            program,
            rows=request.rows,
            cols=request.cols,
            causal=request.causal,
            blocks=blocks,
        )
        ways.append((least_vector_cycles(made, die, memory, vector=vector, interval=interval), made))
    ways.sort(key=lambda way: way[0])
    best, fewest = ways[0][1], inf
    for least, made in ways:
        if least >= fewest:
            break
        cycles = predict_vector(
            made.commands, die, memory, DieTerms.of_design(die), vector=vector, interval=interval
        )
        if cycles < fewest:
            best, fewest = made, cycles
    return best.blocks


def prepare(
    request: VectorRequest, observation: Observation = NOTHING, *, simulator: Backend | None = None
) -> PreparedVector:
    """Check a request and make its program, so that what cannot run is refused before anything is built.

    ``simulator`` replaces the one that the request names.

    Raises
    ------
    ValueError
        If the simulator or the program is unknown, or the program does not fit the die.
    """
    simulator = simulator or backend(request.sim)
    program = vector_program(request.program, lines=request.lines)
    if request.causal and not any(step.causal for step in program.passes):
        raise ValueError(f"vector program {request.program} has no causal mask")
    if request.lines > 1 and request.program != "cross-entropy-merge":
        raise ValueError(f"vector program {request.program} joins no parts: lines must be 1")
    function_lanes(request.vector, request.memory)
    made = schedule_vector(
        request.die,
        request.memory,
        program,
        rows=request.rows,
        cols=request.cols,
        causal=request.causal,
        blocks=_fastest_blocks(request.model_copy(update=NOT_PREDICTED)),
    )
    return PreparedVector(
        request=request,
        made=made,
        simulator=observation.instrument(simulator),
        observation=observation,
    )


def run_vector(
    request: VectorRequest,
    terms: DieTerms | None = None,
    progress: Progress | None = None,
    observation: Observation = NOTHING,
) -> VectorRecord:
    """Prepare and run a vector program; see :func:`prepare` and :meth:`PreparedVector.run`."""
    return prepare(request, observation).run(terms, progress)
