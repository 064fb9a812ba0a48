"""Sequences that several packages share: what keys and values send between them, and how long that takes.

Each package has an equal part of the tokens of every sequence; where masked keys are skipped, one from the beginning
and one from the end, so that all have as much work. Its queries see the keys and values of all: these are gathered
before the attention begins (Llama 3, arXiv 2407.21783, section 3.3.2), or go around a ring, each block behind the
attention on the one before (Liu et al., arXiv 2310.01889). Backward they are sent again, and their gradients to where
they belong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chiplet.machine.parallel_specs import FabricSpec, ParallelSpec
from chiplet.methods.base import Method
from chiplet.schedule.context import ContextShare
from chiplet.step.overlap import Machine, array_of, demand_busy, operation_demand
from chiplet.vectorized.elementwise import Number, larger
from chiplet.workload.operations import Batch, Operation


@dataclass(frozen=True)
class Exchange:
    """What a package sends of a layer for one micro-batch, and the time it takes, forward and backward.

    ``sent`` bytes take ``seconds``, of which the attention does not hide ``forward`` and ``backward`` seconds.
    """

    sent: Number = 0.0
    seconds: Number = 0.0
    forward: Number = 0.0
    backward: Number = 0.0

    @property
    def exposed(self) -> Number:
        """What is not hidden, s."""
        return self.forward + self.backward


def exchange(
    method: Method, machine: Machine, micro_batch: Number, length: Number, gradient_bytes: int
) -> Exchange:
    """The exchange of a micro-batch of ``micro_batch`` sequences of ``length`` tokens, which all packages share.

    Gradients of keys and values have ``gradient_bytes`` each. What hides a block is the attention on another one.
    """
    spec, fabric = machine.system.parallel, machine.system.fabric
    packages = spec.context
    if packages == 1:
        return Exchange()
    tokens = micro_batch * (length // packages)
    model = method.model
    keys = 1.0 * tokens * (model.qkv_features() - model.query_features)
    size, of_gradients = keys * method.element_bytes, keys * gradient_bytes
    again = key_passes(method, spec) - 2
    sent = (packages - 1) * ((2 + again) * size + of_gradients)
    key, gradient = _seconds(size, fabric), _seconds(of_gradients, fabric)
    seconds = (packages - 1) * ((2 + again) * key + gradient)
    if spec.exchange == "all-gather" or not spec.overlap:
        forward = (packages - 1) * key
        return Exchange(sent, seconds, forward, seconds - forward)
    first, second = (
        elapsed / packages for elapsed in _attention_seconds(method, machine, micro_batch, length // packages)
    )
    forward = ring_exposed(packages, key, first)
    both = _seconds(size + of_gradients, fabric)
    backward = ring_backward_exposed(packages, key, gradient, both, second)
    return Exchange(sent, seconds, forward, backward + again * forward)


def key_passes(method: Method, spec: ParallelSpec) -> int:
    """How often keys and values are sent: forward, backward, and in a ring for the forward pass that full recomputation
    begins the backward pass with; gathered ones stay until they are used.
    """
    return 2 + int(spec.exchange == "ring" and method.switches.recompute == "full")


def ring_exposed(packages: int, key: Number, block: Number) -> Number:
    """What blocks of keys and values that take ``key`` seconds each add to the attention, ``block`` seconds on each:
    all but one are sent, behind the attention on the one before.
    """
    return (packages - 1) * larger(0.0, key - block)


def ring_backward_exposed(
    packages: int, key: Number, gradient: Number, both: Number, block: Number
) -> Number:
    """The same backward, where a package adds to the gradients of a block that passes, and sends them behind the next
    one: to the owner at last, which adds its own.

    Keys are sent behind all blocks but the last, gradients behind all but the first two, ``both`` seconds where it is
    both; the last gradients are behind nothing.
    """
    if packages == 2:
        return larger(0.0, key - block) + gradient
    return (
        2 * larger(0.0, key - block)
        + (packages - 3) * larger(0.0, both - block)
        + larger(0.0, gradient - block)
        + gradient
    )


def _seconds(size: Number, fabric: FabricSpec) -> Number:
    return size / fabric.bytes_per_second + fabric.latency_seconds


def _attention_seconds(
    method: Method, machine: Machine, micro_batch: Number, length: Number
) -> tuple[Number, Number]:
    """Time of scores, softmax and values of a micro-batch, forward and backward, if it is a single mini-batch: at most
    what mini-batches take.
    """
    die, spec = machine.system.die, machine.system.parallel
    tokens = micro_batch * length
    batch = Batch(tokens, micro_batch, length, length, die.rows, context=spec.context)
    passes = method.passes(method.blocks()[0], batch)
    array = array_of(die, machine.terms)

    def elapsed(operations: Sequence[Operation]) -> Number:
        middle = [one for one in operations if one.name == "attention"][-1]
        demand = operation_demand(middle, array, die.rows, method, tokens, die.rows)
        return demand_busy(demand, machine, method.switches.overlap).elapsed

    return elapsed(passes.forward), elapsed(passes.backward)


def check_context(spec: ParallelSpec, method: Method, length: int) -> ContextShare:
    """How packages share a sequence of ``length`` tokens.

    Raises ``ValueError``, in one line, if they cannot.
    """
    count = spec.context
    share = ContextShare.of(spec)
    if count == 1:
        return share
    parts = 2 * count if method.switches.masked_keys == "skipped" else count
    if length % parts:
        what = f"{count} packages" + (" with two parts each" if parts > count else "")
        raise ValueError(
            f"parallel.context = {count}: a sequence of {length} tokens is no multiple of {parts}, and {what} "
            f"share it equally"
        )
    if share.ring and method.switches.recompute == "none":
        raise ValueError(
            "parallel.exchange = ring: computes probabilities again in the backward pass: recompute must be "
            "selective or full"
        )
    return share
