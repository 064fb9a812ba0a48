"""DRAM traffic of a block: bytes through the DRAM channels, and bytes that each die reads and writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from chiplet.machine.memory_plane import MemoryPlane
from chiplet.machine.specs import SUM_BYTES, SystemSpec
from chiplet.methods.base import Method
from chiplet.schedule.buffers import IN_BLOCKS, UPDATE_BYTES, Optimizer, saved_elements
from chiplet.vectorized.additive import Additive
from chiplet.vectorized.elementwise import Number, ceil_div, choose, larger, smaller
from chiplet.workload.layer import Layer
from chiplet.workload.operations import FusedBlock, linears, slice_count
from nop.topology import Mesh


@dataclass(frozen=True)
class DramTraffic(Additive):
    """Bytes of a pass over one block: through the DRAM channels, and of one die, ``written`` of which it writes.

    ``dram`` is less than the bytes of all dies where several read the same: the memory behind the IO dies reads that
    once, while the memory plane brings it to each.
    """

    dram: Number = 0.0
    per_die: Number = 0.0
    written: Number = 0.0

    @classmethod
    def shared(cls, read: Number, written: Number, dies: Number) -> Self:
        """Bytes of which each die reads or writes an equal part."""
        return cls(read + written, (read + written) / dies, written / dies)

    def dram_seconds(self, system: SystemSpec, mesh: Mesh) -> Number:
        """Time of the DRAM channels, s."""
        return self.dram / system.memory.package_bytes_per_second(mesh.edge_links)

    def plane_seconds(self, plane: MemoryPlane) -> Number:
        """Time of the memory plane between IO dies and dies, s."""
        return plane.seconds(self.per_die - self.written, self.written)

    def seconds(self, system: SystemSpec, mesh: Mesh, plane: MemoryPlane) -> Number:
        """Time of the slower of DRAM channels and memory plane, s."""
        return larger(self.dram_seconds(system, mesh), self.plane_seconds(plane))


def activation_traffic(
    block: FusedBlock,
    method: Method,
    tokens: Number,
    *,
    parts: int,
    slices: Number,
    length: Number,
    key_block: Number,
    packages: int = 1,
) -> tuple[DramTraffic, DramTraffic]:
    """Activations of ``tokens`` tokens, in sequences of ``length``, through one block, forward and backward.

    A fused block reads its input, and writes its output and the inner activations that the backward pass needs. Split
    into its linears, it also writes and reads the activations in between, and reads the input of the residual path
    once more. Every further slice of a linear reads its input again, and in the backward pass reads and writes the
    partial sums of dX. A sliced head leaves its logits in DRAM between the passes. An attention in blocks of
    ``key_block`` keys reads keys and values for each block of queries, and backward queries,
    gradients of the output and partial sums of the queries' gradients for each block of keys.
    If ``packages`` share each sequence, with ``length`` tokens of it in each, the attention also reads the keys and
    values of the others, and reads and writes partial sums of their gradients.
    """
    layer, recompute = block.layer, method.switches.recompute
    element, hidden = method.element_bytes, layer.hidden
    forward: Number = float(block.expand.h_in)  # input
    backward: Number = float(block.expand.h_in)  # gradient of the input
    # Of these, what is written.
    out: Number = 0.0
    back: Number = float(block.expand.h_in)
    copies = sum(method.gathered_copies(linear) * linear.h_in for linear in linears(block))
    # Narrow features are between parts only if their linears are sliced.
    narrow = choose(slices > 1, block.narrow_features, 0)
    if block.name == "input":  # output; input and gradient of the output
        forward, out = forward + hidden, out + hidden
        backward += block.expand.h_in + hidden
    if block.name == "head":
        forward, out = forward + 2 * narrow, out + narrow
        backward, back = backward + 3 * narrow, back + narrow
    if block.contract is not None:
        middle = block.contract.h_in
        saved = 0
        if recompute != "full":
            saved = saved_elements(layer, block.name, length * packages, recompute) - hidden
        forward += hidden + saved
        backward += 2 * hidden + saved  # input, gradient of the output
        out += hidden + saved
        # Between parts: read, and written unless saved anyway; their gradients written and read.
        between = [middle, layer.qkv_features()][: parts - 1] if block.name == "attention" else [middle]
        between.append(narrow)
        if parts > 1:
            again = hidden + sum(between) * (1 if recompute != "full" else 2)
            forward += again
            backward += hidden + 2 * sum(between) + (again if recompute == "full" else 0)
            out += 0 if recompute != "full" else sum(between)
            back += sum(between) * (1 if recompute != "full" else 2)
        if parts == IN_BLOCKS:
            # Passes over a sequence, but for the one that is counted above.
            more = _passes(method, layer, length, key_block, packages) - 1
            queries, outputs = layer.query_features, layer.output_features
            sums = queries * SUM_BYTES / element
            keys = (more + 1) * (queries + outputs) - (layer.qkv_features() - queries)
            keys = choose(more > 0, keys, 0)
            forward = forward + keys
            again = keys if recompute == "full" else 0
            backward = backward + more * (queries + outputs + 2 * sums) + again
            back = back + more * sums
        if block.name == "attention" and packages > 1:
            own = layer.qkv_features() - layer.query_features
            others, sums = (packages - 1) * own, (packages - 1) * own * SUM_BYTES / element
            again = recompute == "full"
            sent = own if again and parts == 1 else 0  # others read it from DRAM too if it is not saved there
            read = 0 if parts == IN_BLOCKS else others
            forward, out = forward + read + sent, out + sent
            backward, back = backward + read * (1 + again) + 2 * sums, back + sums
    repeated = sum((slice_count(linear, slices) - 1) * linear.h_in for linear in linears(block))
    if block.contract is None:
        logits = choose(repeated > 0, block.first[-1].h_out if block.name == "head" else 0, 0)
        forward, backward, out = forward + logits, backward + logits, out + logits
    forward = forward + repeated
    backward = backward + repeated * (1 + 2 * SUM_BYTES / element) + (repeated if recompute == "full" else 0)
    back = back + repeated * SUM_BYTES / element
    copies = copies * slices
    dies = method.mesh.nodes
    return (
        DramTraffic.shared(tokens * (forward - out) * element, tokens * out * element, dies),
        DramTraffic(
            tokens * backward * element,
            tokens * (backward + copies) * element / dies,
            tokens * back * element / dies,
        ),
    )


def _passes(method: Method, layer: Layer, length: Number, key_block: Number, packages: int) -> Number:
    """How often ``length`` tokens pass the blocks, each of which sees what is in the reach of its own tokens; those of
    other ``packages`` pass, too.
    """
    strip = method.skipped_by(key_block)
    whole = length * packages
    reach = layer.attention_reach(whole, strip)
    seen = reach
    if strip is None:
        seen = choose(reach < whole, smaller(whole, reach + key_block), whole)
    return ceil_div(length, key_block) * seen / length


def weight_bytes(block: FusedBlock, method: Method) -> tuple[float, Number]:
    """Bytes of a block's weights: in DRAM, where each is stored once, and on one die, replicas included."""
    layer = block.layer
    if block.name == "attention":
        stored = layer.attention_weights
    elif block.name == "ffn":
        stored = layer.ffn_weights
    else:
        stored = sum(linear.h_in * linear.h_out for linear in linears(block))
    return float(stored * method.element_bytes), method.weights_per_die(block) * method.element_bytes


def update_traffic(
    parameters: Number, optimizer: Optimizer, element: int, dies: Number, share: float = 1.0
) -> DramTraffic:
    """Update of parameters: gradient, master and moments read, master, moments and operand copy written.

    ``share`` of the parameters are updated here, while all operand copies are written.
    """
    written = (UPDATE_BYTES[optimizer] - SUM_BYTES) // 2  # all but the gradient are read and written
    return DramTraffic.shared(
        parameters * share * (written + SUM_BYTES), parameters * (share * written + element), dies
    )
