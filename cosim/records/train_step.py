"""Requests and records of training steps on a package."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from chiplet.graph.descriptions.shared_programs import Optimizer
from chiplet.machine.base import StrictModel
from chiplet.machine.specs import SystemSpec
from cosim.records.base import Interval, Record, Request, Seed, Stall, checked
from cosim.records.link_ends import LinkEnds
from cosim.records.links import FaultyLinks, LinkFaults

__all__ = ["TrainStepRecord", "TrainStepRequest", "UnitCycles", "train_step_request"]

Size = Annotated[int, Field(ge=1)]
Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class TrainStepRequest(Request):
    """``steps`` training steps of a Llama on a package, see :class:`chiplet.graph.training.sizes.StepSizes`.

    Attributes
    ----------
    hidden, heads, kv_heads, head_dim, ffn, layers, vocab, tied, norm_epsilon, rope_theta
        The model.
    sequence, batch, tiles
        Tokens of a sequence, sequences of a step, and token tiles that a step runs in.
    optimizer, learning_rate
        How weights are updated.
    gradients
        Whether every step stores the gradients, too.
    weights_sha256, tokens_sha256
        Digests of the initial weights, and of the tokens of all steps.
    stall, interval
        Of each memory, see :mod:`cosim.records.base`.
    direct, links
        Whether the routers are joined without link adapters; links with faults, if they have any.
    """

    hidden: Size
    heads: Size
    kv_heads: Size
    head_dim: Size
    ffn: Size
    layers: Size
    vocab: Size
    tied: bool = False
    norm_epsilon: float
    rope_theta: float
    sequence: Size
    batch: Size
    tiles: Size = 1
    steps: Size = 1
    optimizer: Optimizer = "sgd"
    learning_rate: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    gradients: bool = False
    weights_sha256: Digest
    tokens_sha256: Digest
    system: SystemSpec
    seed: Seed = 0
    stall: Stall = 0.0
    interval: Interval = 1
    sim: str = "icarus"
    direct: bool = False
    links: FaultyLinks | None = None

    @property
    def file_stem(self) -> str:
        die = self.system.die
        model = f"h{self.hidden}_l{self.layers}_s{self.sequence}_b{self.batch}_t{self.tiles}"
        return f"train_{self.mesh}_{model}_{self.optimizer}_{self.steps}_{die.rows}x{die.cols}"

    @property
    def mesh(self) -> str:
        """Rows and columns of dies, as in ``2x3``."""
        return f"{self.system.package.rows}x{self.system.package.cols}"


def train_step_request(**fields: Any) -> TrainStepRequest:
    """Return a request. Raises ValueError with one line for a value that is out of range."""
    return checked(TrainStepRequest, fields)


class UnitCycles(StrictModel):
    """Busy cycles of a kind of unit in a step: those of the die where they are most.

    Attributes
    ----------
    measured
        Of the array those with an activation vector; of the links of an axis those with a flit, on the side and in the
        direction where they are most; of load and store those with a word; of all others those with a command that
        waits for no semaphore.
    predicted
        The same from the graph, see :func:`chiplet.dataflow.predicted_step.predicted_step`.
    """

    measured: int
    predicted: int


class TrainStepRecord(Record):
    """Measured training steps. Where nothing else is said, a figure is that of the last step.

    Attributes
    ----------
    request
        What was run.
    mesh
        Of the request, as in ``2x3``.
    rows, cols
        Of a die's array.
    steps, optimizer, learning_rate, seed
        Of the request.
    cycles, predicted_cycles
        From the common start to the end of the last program; the same from the graph.
    step_cycles
        The same of each step.
    units
        Busy cycles of each kind of unit.
    nop_busy_cycles
        Cycles in which a flit leaves or enters the engine of a die along its busier axis, of the die where they are
        most.
    nop_exposed_cycles
        Cycles in which a flit leaves or enters the engine of a die while its array takes no vector and its vector unit
        has no pass, of the die where they are most.
    nop_flits
        Flits that left the engines.
    axi_reads, axi_writes
        Words at all AXI ports, including programs.
    commands
        Of the longest program.
    memory_words
        Words behind an IO die, programs included: the most.
    loss
        Mean cross-entropy of each step, before its update.
    words, mismatches
        Words of all results and stored intermediates that were compared with the golden run, after the first and the
        last step, and of the losses after each; and those with a bit that is undefined or differs.
    counters
        Every counter of each die, in the order of the dies' numbers.
    link_faults
        Faults of the links in all steps, or None if they had none.
    link_ends
        What the dies' ends of the links said at the end of the run, or None without adapters.
    """

    request: TrainStepRequest
    mesh: str
    rows: int
    cols: int
    steps: int
    optimizer: Optimizer
    learning_rate: float
    cycles: int
    predicted_cycles: int
    step_cycles: list[int]
    units: dict[str, UnitCycles]
    nop_busy_cycles: int
    nop_exposed_cycles: int
    nop_flits: int
    axi_reads: int
    axi_writes: int
    commands: int
    memory_words: int
    loss: list[float]
    words: int
    mismatches: int
    counters: list[dict[str, int]]
    link_faults: LinkFaults | None
    link_ends: LinkEnds | None
    seed: int
