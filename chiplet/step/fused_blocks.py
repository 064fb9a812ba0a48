"""The account of one block in a step: its mini-batches on the package, and its DRAM traffic behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from chiplet.machine.link_rate import LinkRate
from chiplet.machine.memory_plane import MemoryPlane
from chiplet.machine.specs import SUM_BYTES
from chiplet.methods.base import Method
from chiplet.schedule.buffers import BlockMemory
from chiplet.step.collective_time import comm_seconds
from chiplet.step.dram_traffic import DramTraffic, activation_traffic, weight_bytes
from chiplet.step.energy import Events, comm_events, traffic_events
from chiplet.step.overlap import Busy, Machine
from chiplet.step.runs import RunAccount
from chiplet.vectorized.additive import Additive
from chiplet.vectorized.elementwise import Number, choose, is_array, larger, one_of
from chiplet.workload.operations import CommStep, FusedBlock

Sums = TypeVar("Sums", bound=Additive)


@dataclass(frozen=True)
class PassAccount:
    """One pass (``forward`` or ``backward``) over one block, called by its label, in a step; ``layers`` are alike.

    ``runs`` are its mini-batches, the largest first; none for many machines, whose blocks may run in different ways.
    ``once`` is the time of what is communicated once in a step, and ``on_package`` that of both. ``memory_seconds`` is
    the time of ``traffic``. ``waiting`` is how long the block waits for loads of weights and stores of gradients:
    ``weights_wait`` unless they are loaded ahead, ``gradients_wait`` unless they are stored behind. ``later`` is what
    elapses in a backward pass behind the second linear of its last mini-batch, with the vector unit's part of it.
    """

    block: str
    direction: str
    layers: Number
    runs: tuple[RunAccount, ...]
    once: Busy
    on_package: Busy
    later: Busy
    traffic: DramTraffic
    memory_seconds: Number
    weights_wait: Number
    gradients_wait: Number
    waiting: Number = 0.0

    @cached_property
    def dram_exposed(self) -> Number:
        """Seconds that DRAM adds to one layer's pass."""
        return larger(0.0, self.memory_seconds - self.on_package.elapsed) + self.waiting

    @cached_property
    def layer_seconds(self) -> Number:
        """Time of one layer's pass."""
        return self.on_package.elapsed + self.dram_exposed

    @cached_property
    def seconds(self) -> Number:
        """Time of the pass over all layers."""
        return self.layer_seconds * self.layers


@dataclass(frozen=True)
class BlockAccount:
    """Both passes over a block in all its layers of a step, their events, and what a die receives for one layer of the
    model, the mean of all.
    """

    passes: tuple[PassAccount, PassAccount]
    events: Events
    elements: Number

    @property
    def seconds(self) -> Number:
        """Time of both passes."""
        return sum(one_pass.seconds for one_pass in self.passes)

    @property
    def weights_wait(self) -> Number:
        """What it adds that weights are not loaded ahead, s."""
        return sum(one_pass.weights_wait * one_pass.layers for one_pass in self.passes)

    @property
    def gradients_wait(self) -> Number:
        """What it adds that gradients are not stored behind, s."""
        return sum(one_pass.gradients_wait * one_pass.layers for one_pass in self.passes)

    def waiting(self, weights_ahead: Any, gradients_behind: Any) -> BlockAccount:
        """The block with the time that it waits."""
        forward, backward = (
            replace(
                one_pass,
                waiting=choose(weights_ahead, 0.0, one_pass.weights_wait)
                + choose(gradients_behind, 0.0, one_pass.gradients_wait),
            )
            for one_pass in self.passes
        )
        return replace(self, passes=(forward, backward))


@dataclass(frozen=True)
class BlockRuns:
    """All mini-batches of a block in a step: time of both passes, and of the backward one behind the second linear,
    events and received elements of one layer, and their number.
    """

    forward: Busy
    backward: Busy
    later: Busy
    events: Events
    elements: Number
    count: Number


def sum_of_runs(runs: Sequence[tuple[RunAccount, RunAccount]]) -> BlockRuns:
    """The sum of ``runs``, each forward and backward."""
    forward, backward, later, events = Busy(), Busy(), Busy(), Events()
    elements: Number = 0.0
    count: Number = 0
    for first, second in runs:
        forward += first.busy * first.times
        backward += second.busy * first.times
        later += second.later * first.times
        events += (first.events + second.events) * first.times
        elements += (first.elements + second.elements) * first.times
        count += first.times
    return BlockRuns(forward, backward, later, events, elements, count)


@dataclass(frozen=True)
class BlockPlan:
    """How a block runs in a step of ``tokens`` tokens: as ``memory`` says, in ``rounds``.

    ``resident`` weights are loaded once a round, others for every mini-batch.
    """

    memory: BlockMemory
    rounds: Number
    tokens: Number
    resident: bool = True


@dataclass(frozen=True)
class SentOnce:
    """What is sent once in a step for one layer of a block: its time, fully exposed, its events, and the elements that
    a die receives for the sums over replicas.
    """

    busy: Busy
    events: Events
    elements: Number


def sent_once(block: FusedBlock, method: Method, machine: Machine) -> SentOnce:
    """What is sent once in a step for ``block``, however it runs."""
    steps = method.once_comms(block)
    events, elements = Events(), sum(step.elements for step in method.replica_comms(block))
    for step in steps:
        events += comm_events(step, method.mesh.nodes)
    return SentOnce(_once(steps, machine.link), events, elements)


def account_block(
    plan: BlockPlan,
    runs: BlockRuns,
    method: Method,
    machine: Machine,
    plane: MemoryPlane,
    once: SentOnce,
    shown: Sequence[tuple[RunAccount, RunAccount]] = (),
) -> BlockAccount:
    """The block that runs as ``plan`` says, with the mini-batches ``runs``, which are ``shown`` one by one."""
    system, mesh, block = machine.system, method.mesh, plan.memory.block
    head, layers = block.name == "head", block.layers
    rounds = plan.rounds if plan.resident else runs.count
    stored, per_die = weight_bytes(block, method)
    gradient = stored * SUM_BYTES / method.element_bytes
    weights, sums = DramTraffic(stored, per_die), DramTraffic.shared(0.0, gradient, mesh.nodes)
    traffics = _traffic(plan, method, rounds, weights, gradient)
    events = runs.events + once.events
    passes = []
    for direction, busy, traffic in zip(
        ("forward", "backward"), (runs.forward, runs.backward), traffics, strict=True
    ):
        backward = direction == "backward"
        loads = 0 if head and backward else rounds
        summed = once.busy if backward else Busy()
        events += traffic_events(traffic, system.package, mesh)
        passes.append(
            PassAccount(
                block.label,
                direction,
                layers,
                tuple(run[backward] for run in shown),
                summed,
                busy + summed,
                runs.later * (1 / larger(1, runs.count)) if backward else Busy(),
                traffic,
                traffic.seconds(system, mesh, plane),
                weights.seconds(system, mesh, plane) * loads,
                sums.seconds(system, mesh, plane) * rounds if backward else 0.0,
            )
        )
    # Of one layer, the mean of all that differ.
    share = 0.0 if block.contract is None else layers / method.model.layers
    return BlockAccount((passes[0], passes[1]), events * layers, (runs.elements + once.elements) * share)


def one_of_blocks(accounts: Sequence[BlockAccount], place: Number) -> BlockAccount:
    """The one of ``accounts`` at ``place``; the places of many machines may differ."""
    if not is_array(place) or len(accounts) == 1:
        return accounts[place if not is_array(place) else 0]
    forward, backward = (
        replace(
            of_pass[0],
            runs=(),
            on_package=_one_of_sums([one.on_package for one in of_pass], place),
            later=_one_of_sums([one.later for one in of_pass], place),
            traffic=_one_of_sums([one.traffic for one in of_pass], place),
            memory_seconds=one_of([one.memory_seconds for one in of_pass], place),
            weights_wait=one_of([one.weights_wait for one in of_pass], place),
            gradients_wait=one_of([one.gradients_wait for one in of_pass], place),
        )
        for of_pass in zip(*(account.passes for account in accounts), strict=True)
    )
    return BlockAccount(
        (forward, backward),
        _one_of_sums([account.events for account in accounts], place),
        one_of([account.elements for account in accounts], place),
    )


def _one_of_sums(values: Sequence[Sums], place: Number) -> Sums:
    columns = zip(*(value.numbers for value in values), strict=True)
    return type(values[0])(*(one_of(column, place) for column in columns))


def _traffic(
    plan: BlockPlan, method: Method, rounds: Number, weights: DramTraffic, gradient: float
) -> tuple[DramTraffic, DramTraffic]:
    """DRAM traffic of a block in a step: activations of all tokens, and weights and gradients ``rounds`` times."""
    memory = plan.memory
    forward, backward = activation_traffic(
        memory.block,
        method,
        plan.tokens,
        parts=memory.parts,
        slices=memory.slices,
        length=memory.length,
        key_block=memory.key_block,
        packages=memory.context.packages,
    )
    loaded = weights * rounds
    # Gradients are written in 32 bits in each round, and read before that from the second round on.
    stored = DramTraffic.shared(gradient * (rounds - 1), gradient * rounds, method.mesh.nodes)
    if memory.block.name == "head":  # forward and backward load the weights together
        return forward + loaded, backward + stored
    return forward + loaded, backward + loaded + stored


def _once(steps: tuple[CommStep, ...], link: LinkRate) -> Busy:
    """Time of what is communicated once in a step; it is fully exposed."""
    seconds = sum((comm_seconds(step, link) for step in steps), 0.0)
    return Busy(elapsed=seconds, nop_exposed=seconds, nop=seconds)
