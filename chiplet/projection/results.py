"""The result of a projection: frozen models whose ``model_dump()`` has the keys of the JSON output."""

from __future__ import annotations

from typing import Any

from chiplet.machine.base import StrictModel
from chiplet.machine.sources import Input
from chiplet.schedule.buffers import Optimizer


class Buffer(StrictModel):
    """Bytes that a memory must hold, and the bytes it has."""

    needed_bytes: int
    available_bytes: int


class Memory(StrictModel):
    """Memory use: buffers of one die by name (for the fullest block), and DRAM of the package.

    A block runs in ``parts`` parts (1: fused; 4: attention in blocks of keys), and its linears are cut into ``slices``;
    a pass runs ``rounds`` times. With full recomputation, ``keeps_probabilities`` says whether those of the second
    forward pass stay on the dies until they are used, or are computed once more.
    ``weight_bytes_per_die`` and ``state_bytes_per_die`` are a die's share of the model and of the training state.
    """

    buffers: dict[str, Buffer]
    dram: Buffer
    weight_bytes_per_die: float
    state_bytes_per_die: float
    mini_batch_tokens: dict[str, int]
    token_tiles: dict[str, dict[str, int]]
    parts: dict[str, int]
    slices: dict[str, int]
    rounds: int
    keeps_probabilities: bool


class Breakdown(StrictModel):
    """Parts of the step, seconds. The first five and the last two add up to it, and so do the last five.

    ``compute`` is the time of the array; the exposed parts are what NoP, vector unit and DRAM add to it; ``optimizer``
    is what the backward pass does not hide of the weight update. ``*_busy`` is the whole time that a resource is in
    use, hidden or not. ``pipeline_bubble`` is idle time of the pipeline, and ``fabric_exposed`` that of transfers
    between packages that nothing hides; with several packages the other parts are those of the stage that sets the
    pace.
    """

    compute: float
    nop_exposed: float
    vector_exposed: float
    dram_exposed: float
    optimizer: float
    vector_busy: float
    nop_busy: float
    dram_busy: float
    forward: float
    backward: float
    optimizer_step: float
    pipeline_bubble: float = 0.0
    fabric_exposed: float = 0.0


class Parallel(StrictModel):
    """How several packages share a step, and what they send to one another.

    ``stage_layers`` are the layers of each package of a pipeline, ``pace_stage`` is the slowest of these and
    ``last_stage`` the one that finishes last, counted from 0. ``bubble_share`` is idle time over the time of all
    micro-batches. A micro-batch crosses a boundary with ``transfer_bytes`` in ``transfer_seconds``, forward and
    backward alike. ``last_stage`` sums ``gradient_bytes`` over replicas in ``gradient_seconds``, of which
    ``gradient_exposed`` are not hidden. Of the keys and values of a shared sequence, and of their gradients, a package
    sends ``exchange_bytes`` for a layer of a micro-batch in ``exchange_seconds``, of which ``exchange_exposed`` are not
    hidden. All packages together send ``fabric_bytes`` in a step.
    """

    data: int
    pipeline: int
    context: int
    exchange: str
    interleave: int
    micro_batch: int
    micro_batches: int
    stage_layers: list[int]
    pace_stage: int
    last_stage: int
    stage_seconds: list[float]
    bubble_share: float
    transfer_bytes: float
    transfer_seconds: float
    gradient_bytes: float
    gradient_seconds: float
    gradient_exposed: float
    exchange_bytes: float
    exchange_seconds: float
    exchange_exposed: float
    fabric_bytes: float


class Cost(StrictModel):
    """Manufacturing cost of all packages, dollars, and the area and yield of their dies.

    ``parts`` add up to ``dollars``, ``die_area`` (mm2) to ``die_mm2``. ``assembly_yield`` is that of a full substrate,
    of which there are ``substrates``. Costs are NaN if a die or its carrier does not fit a wafer. ``inputs`` are those
    of area and cost alone.
    """

    dollars: float
    parts: dict[str, float]
    die_mm2: float
    die_area: dict[str, float]
    die_yield: float
    dies_per_wafer: float
    good_die_dollars: float
    substrates: int
    assembly_yield: float
    inputs: list[Input]


class Projection(StrictModel):
    """One training step. Times in seconds, energies in joules, memory in bytes.

    ``dies``, ``mesh`` and ``memory`` are those of one package, in a pipeline of the fullest.

    Attributes
    ----------
    digests
        Of the sections of the configuration, all as given: a calibration or a silicon report changes none of them.
    silicon_report
        Digest of the silicon report that was used; null without one.
    unused_dies
        Dies that were asked for, and that the quickest mesh leaves out: the package does not have them.
    parameters
        All parameters of the model: of its text part, without extra prediction layers.
    active_parameters
        Parameters that one token uses: without the experts that it does not go to.
    """

    model: str
    digests: dict[str, str]
    silicon_report: str | None
    parameters: int
    active_parameters: int
    dies: int
    unused_dies: int
    mesh: str
    method: str
    switches: dict[str, Any]
    optimizer: Optimizer
    global_batch: int
    sequence_length: int
    step_seconds: float
    tokens_per_second: float
    mfu: float
    energy_joules: float
    energy: dict[str, float]
    breakdown: Breakdown
    memory: Memory
    nop_elements_per_die_per_layer: float
    compute_to_nop: float
    cost: Cost
    measured_inputs: list[Input]
    assumed_inputs: list[Input]
    packages: int = 1
    parallel: Parallel | None = None
