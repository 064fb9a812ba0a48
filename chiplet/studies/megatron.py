"""Predictions of measured training steps of Megatron-LM, which validate the flat-ring baseline.

The work of a layer (GEMM sizes, collectives and their volume) is that of
:class:`chiplet.methods.flat_ring.FlatRing` on the GPUs of one node; the cost of a ring is that of
:mod:`nop.collective_cost`. The machine is a
:class:`chiplet.studies.gpu_cluster.GpuClusterSpec`. Nothing overlaps inside a micro-batch, as in the system of the A100
runs. Sums of gradients over replicas are taken to be hidden, and the optimizer's state to be shared among replicas.
"""

from __future__ import annotations

from collections.abc import Sequence

from chiplet.machine.base import StrictModel
from chiplet.methods.flat_ring import FlatRing
from chiplet.methods.registry import make_switches
from chiplet.parallel.pipeline import pipeline_time
from chiplet.schedule.buffers import UPDATE_BYTES
from chiplet.studies.gpu_cluster import GpuClusterSpec
from chiplet.studies.megatron_runs import MegatronRun
from chiplet.workload.llm import Llm
from chiplet.workload.operations import Batch, GemmStep, Operation
from nop.topology import most_square

ELEMENT_BYTES = 2
"""Bytes of an operand: bf16 or fp16."""

MET = 0.01
"""Largest error of a run to which a machine is fitted: if it is larger, the fit is not one to this run."""

MAIN_GRADIENT_BYTES = 8
"""Bytes of adding a weight gradient to its 32-bit sum: read and written."""

POINTWISE_BYTES = {"forward": 22, "backward": 34}
"""Bytes of memory traffic for each feature of the residual stream in a layer, besides its GEMMs.

Forward, twice: norm (read 2, write 2), bias, dropout and residual (read 4, write 2, mask 1). Backward, twice:
norm (read 4, write 2), dropout (read 2, mask 1, write 2), sum with the residual's gradient (read 4, write 2).
"""

ACTIVATION_BYTES = {"forward": 4, "backward": 6}
"""The same for each inner feature of the FFN: GELU reads one and writes one; its gradient reads two and writes one."""

SOFTMAX_BYTES = {"forward": 9, "backward": 11}
"""For each attention score: softmax (read 2, write 2) and dropout (read 2, write 2, mask 1); backward read 4, write
2, and read 2, mask 1, write 2."""

LOSS_BYTES = 24
"""For each logit: cast to 32 bits, maximum, exponential and sum, gradient: 2 + 4 x 5 + 2."""


class Prediction(StrictModel):
    """Prediction of one measured step, seconds; the parts add up to ``predicted_seconds``.

    ``fitted`` says whether the machine's efficiencies are fitted to this run: its file names it, and its time is met.
    """

    run: MegatronRun
    predicted_seconds: float
    error: float
    fitted: bool
    parts: dict[str, float]


class Validation(StrictModel):
    """All measured steps with their predictions; errors are relative to the measurement. Those of runs that are not
    fitted are None if all are. ``efficiencies`` says in words what was used: curves, or single values.
    """

    machine: GpuClusterSpec
    efficiencies: dict[str, str]
    predictions: list[Prediction]
    mean_error: float
    max_error: float
    mean_error_not_fitted: float | None
    max_error_not_fitted: float | None


def validate(machine: GpuClusterSpec, runs: Sequence[MegatronRun]) -> Validation:
    """Predict all ``runs``, at least one, which were measured on ``machine``. Errors as in :func:`predict`."""
    predictions = [predict(run, machine) for run in runs]
    errors = [abs(prediction.error) for prediction in predictions]
    others = [abs(prediction.error) for prediction in predictions if not prediction.fitted]
    return Validation(
        machine=machine,
        efficiencies=machine.efficiencies,
        predictions=predictions,
        mean_error=sum(errors) / len(errors),
        max_error=max(errors),
        mean_error_not_fitted=sum(others) / len(others) if others else None,
        max_error_not_fitted=max(others, default=None),
    )


def model_of(run: MegatronRun) -> Llm:
    """The GPT model of ``run``."""
    return Llm(
        name=run.name,
        layers=run.layers,
        hidden=run.hidden,
        heads=run.heads,
        kv_heads=run.heads,
        head_dim=run.hidden // run.heads,
        ffn=4 * run.hidden,
        gated=False,
        vocab=run.vocabulary,
        norm="layernorm",
        qkv_bias=True,
        output_bias=True,
        ffn_bias=True,
        learned_positions=run.sequence_length,
        rotary=0,
        max_positions=run.sequence_length,
        tied=True,
    )


def predict(run: MegatronRun, machine: GpuClusterSpec) -> Prediction:
    """The step time of ``run`` on ``machine``.

    A stage works on one micro-batch after the other, forward and backward; the last stage also has the output head and
    sets the pace (:func:`chiplet.parallel.pipeline.pipeline_time`, without overlap). Between stages a GPU sends its
    share of a micro-batch, over the network between nodes.

    Raises ``ValueError``, in one line, if the machine has smaller nodes, or no rate for the operands of the run.
    """
    _check(run, machine)
    model = model_of(run)
    gemm, nop, memory = _layer_seconds(run, model, machine)
    head = _head_seconds(run, model, machine)
    layers = run.layers / run.pipeline
    stage = layers * (gemm + nop + memory)
    micro_batches = run.micro_batches
    time = pipeline_time(
        [stage] * (run.pipeline - 1) + [stage + head],
        micro_batches=micro_batches,
        interleave=run.interleave,
        crossing=_crossing_seconds(run, machine) if run.pipeline > 1 else 0.0,
        overlap=False,
    )
    bytes_ = model.parameters / run.gpus * (UPDATE_BYTES["adam"] + ELEMENT_BYTES)
    parts = {
        "gemm": micro_batches * layers * gemm,
        "collectives": micro_batches * layers * nop,
        "pointwise": micro_batches * layers * memory,
        "head": micro_batches * head,
        "between stages": time.transfers,
        "pipeline bubble": time.bubble + time.fill,
        "optimizer": bytes_ / machine.memory_rate,
    }
    seconds = sum(parts.values())
    error = seconds / run.seconds - 1
    return Prediction(
        run=run,
        predicted_seconds=seconds,
        error=error,
        fitted=run.label in machine.fitted_to and abs(error) <= MET,
        parts=parts,
    )


def _check(run: MegatronRun, machine: GpuClusterSpec) -> None:
    if run.tensor > machine.gpus_per_node:
        raise ValueError(
            f"run {run.name}: tensor = {run.tensor}: a node of {machine.name} has {machine.gpus_per_node} GPUs"
        )
    if run.operands == "8-bit" and machine.peak_flops_8bit is None:
        raise ValueError(f"run {run.name}: operands = 8-bit: {machine.name} has no peak_flops_8bit")


def activation_bytes(model: Llm, *, length: int, micro_batch: int, tensor: int) -> float:
    """Activations that one layer keeps for the backward pass, without recomputation or sequence parallelism, in bytes
    on one GPU: s b h (10 + 24 / t + 5 a s / (h t)) for a plain FFN of 4 h (arXiv 2205.05198).
    """
    tokens, hidden, inner = length * micro_batch, model.hidden, model.ffn
    scores = model.heads * length * tokens
    whole = (
        2 * (2 * hidden)  # inputs of both norms
        + 2 * hidden  # input of Q, K, V
        + 2 * hidden  # input of the FFN
        + 2 * hidden  # masks of both dropouts, a byte each
    )
    shared = (
        2 * model.qkv_features()  # Q, K, V
        + 2 * model.query_features  # input of O
        + 2 * model.ffn_in_features  # input of the activation
        + 2 * inner  # input of the second linear
    )
    softmax = 2 + 1 + 2  # output of the softmax, mask and output of its dropout
    return tokens * whole + (tokens * shared + scores * softmax) / tensor


def _method(model: Llm, run: MegatronRun) -> FlatRing:
    switches = make_switches(
        "flat-ring",
        {
            "overlap": False,
            "direction": "one",
            "sums": "operand",
            # Other recomputation repeats the attention core, which the caller adds.
            "recompute": "full" if run.recompute == "full" else "none",
        },
    )
    return FlatRing(model, most_square(run.tensor), switches, ELEMENT_BYTES)


def _layer_seconds(run: MegatronRun, model: Llm, machine: GpuClusterSpec) -> tuple[float, float, float]:
    """GEMM, collective and memory-bound time of a layer for one micro-batch, both passes."""
    method = _method(model, run)
    tokens = run.micro_batch * run.sequence_length
    batch = Batch(tokens, run.micro_batch, run.sequence_length)
    attention, ffn, _ = method.blocks()
    of_attention, of_ffn = method.passes(attention, batch), method.passes(ffn, batch)
    operations = [*of_attention.forward, *of_attention.backward, *of_ffn.forward, *of_ffn.backward]
    if run.recompute != "full":
        operations.append(of_attention.forward[1])
    gemm = _gemm_seconds(operations, machine, eight_bits=run.operands == "8-bit")
    nop = _ring_seconds(operations, machine)
    tensor = run.tensor
    # Without sequence parallelism every GPU of the node computes the norms and dropouts of all tokens.
    copies = tensor if run.recompute == "full" else 1
    scores = 0 if run.recompute == "fused" else model.heads * run.sequence_length

    def moved(direction: str) -> float:
        features = (
            POINTWISE_BYTES[direction] * model.hidden * copies + ACTIVATION_BYTES[direction] * model.ffn
        )
        return tokens * (features + SOFTMAX_BYTES[direction] * scores) / tensor

    again = (
        moved("forward") if run.recompute == "full" else tokens * SOFTMAX_BYTES["forward"] * scores / tensor
    )
    return gemm, nop, (moved("forward") + moved("backward") + again) / machine.memory_rate


def _head_seconds(run: MegatronRun, model: Llm, machine: GpuClusterSpec) -> float:
    """Time of the output head and the loss for one micro-batch, both passes."""
    method = _method(model, run)
    tokens = run.micro_batch * run.sequence_length
    passes = method.passes(method.blocks()[2], Batch(tokens, run.micro_batch, run.sequence_length))
    operations = [*passes.forward, *passes.backward]
    moved = tokens * model.vocab / run.tensor * LOSS_BYTES
    return (
        _gemm_seconds(operations, machine, eight_bits=False)
        + _ring_seconds(operations, machine)
        + moved / machine.memory_rate
    )


def _crossing_seconds(run: MegatronRun, machine: GpuClusterSpec) -> float:
    """Time to send the activations of one micro-batch to the next stage. Each GPU sends its share; without sequence
    parallelism the node gathers the shares again.
    """
    tensor = run.tensor
    share = run.micro_batch * run.sequence_length * run.hidden * ELEMENT_BYTES / tensor
    seconds = machine.cluster_seconds(share)
    if run.recompute == "full":
        seconds += machine.node_seconds((tensor - 1) * share)
    return seconds


def _gemm_seconds(operations: Sequence[Operation], machine: GpuClusterSpec, *, eight_bits: bool) -> float:
    """Time of the GEMMs. With ``eight_bits`` the operands of the linears have 8 bits, those of the attention 16."""
    return sum(
        _gemm(step, machine, eight_bits=eight_bits and operation.name != "attention")
        for operation in operations
        for step in operation.gemms
    )


def _gemm(step: GemmStep, machine: GpuClusterSpec, *, eight_bits: bool) -> float:
    """Time of a GEMM: arithmetic at the efficiency of its smallest side, or memory traffic if that is slower."""
    m, k, n = step.m, step.k, step.n
    efficiency = machine.gemm_efficiency_at(min(m, k, n))
    written = MAIN_GRADIENT_BYTES if step.name == "X^T dY" else ELEMENT_BYTES
    peak, read = machine.peak_flops, ELEMENT_BYTES
    if eight_bits and machine.peak_flops_8bit is not None:
        peak, read = machine.peak_flops_8bit, 1
    moved = read * (m * k + k * n) + written * m * n
    one = max(2 * m * k * n / (peak * efficiency), moved / machine.memory_rate)
    return step.count * one


def _ring_seconds(operations: Sequence[Operation], machine: GpuClusterSpec) -> float:
    """Time of the collectives: bytes of the busiest link over bandwidth, and the latency of every step."""
    return sum(
        machine.node_seconds(step.serial_elements * step.element_bytes) + step.steps * machine.step_seconds
        for operation in operations
        for step in operation.comms
    )
