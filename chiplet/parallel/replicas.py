"""The workload of a step on several packages, and its account: micro-batches, memory, DRAM traffic and times."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import ceil

from chiplet.machine.memory_plane import memory_plane
from chiplet.machine.parallel_specs import ParallelSpec
from chiplet.methods.base import Method
from chiplet.parallel.context import check_context, exchange, key_passes
from chiplet.parallel.pipeline import in_flight, pipeline_time, ring_seconds, stage_numbers
from chiplet.parallel.stages import Ending, ParallelAccount, Stage
from chiplet.schedule.buffers import (
    STATE_BYTES,
    DramNeed,
    Optimizer,
    saved_bytes_per_token,
)
from chiplet.schedule.schedule import StepWork, step_work
from chiplet.step.account import StepAccount
from chiplet.step.dram_traffic import DramTraffic, update_traffic
from chiplet.step.energy import Events, traffic_events
from chiplet.step.fused_blocks import PassAccount
from chiplet.step.overlap import Machine
from chiplet.step.weight_update import WeightUpdate
from chiplet.vectorized.elementwise import Number, is_array, larger, one_of
from chiplet.workload.llm import Llm


class Replicas:
    """The workload and machine of a step on several packages.

    Raises ``ValueError``, in one line, if there are more replicas than sequences or more chunks than layers,
    and if packages cannot share a sequence.
    """

    def __init__(
        self,
        method: Method,
        machine: Machine,
        *,
        global_batch: int,
        length: int,
        optimizer: Optimizer,
        mini_batch: Number | None,
    ) -> None:
        self.method, self.machine, self.system = method, machine, machine.system
        self.global_batch, self.length = global_batch, length
        self.optimizer, self.mini_batch = optimizer, mini_batch
        self.spec: ParallelSpec = machine.system.parallel
        self.model: Llm = method.model
        if self.spec.data > global_batch:
            raise ValueError(
                f"parallel.data = {self.spec.data}: must be at most the {global_batch} sequences of the "
                f"global batch"
            )
        chunks = self.spec.pipeline * self.spec.interleave
        if chunks > self.model.layers:
            raise ValueError(
                f"parallel.pipeline x parallel.interleave = {chunks}: must be at most the {self.model.layers} "
                f"layers of {self.model.name}"
            )
        self.context = check_context(self.spec, method, length)
        self.own_length = length // self.spec.context
        self.batch = ceil(global_batch / self.spec.data)
        self.stages = self._stages()
        self.element = method.element_bytes
        self.plane = memory_plane(self.system, method.mesh)
        self.gradient_size = 4 if self.spec.gradients == "32-bit" else self.element

    def _stages(self) -> tuple[Stage, ...]:
        model, count = self.model, self.spec.pipeline
        kinds = (*model.attention_kinds, *model.ffn_kinds)
        stages = []
        for stage, numbers in enumerate(stage_numbers(model.layers, count, self.spec.interleave)):
            first, last = stage == 0, stage == count - 1
            blocks = {kind.label: kind.count(numbers) for kind in kinds} | {
                "input": int(first),
                "head": int(last),
            }
            parameters = model.parameters_of(numbers)
            parameters += model.embedding_parameters * first + model.head_parameters * last
            stages.append(Stage(stage, numbers, blocks, last, model.parameters if count == 1 else parameters))
        return tuple(stages)

    @property
    def state_size(self) -> float:
        """DRAM bytes of a parameter: operand copy, 32-bit gradient, and master and moments, or a share of these."""
        kept = STATE_BYTES[self.optimizer] - 4
        return self.element + 4 + (kept / self.spec.copies if self.spec.shard_optimizer else kept)

    def saved_size(self, stage: Stage) -> int:
        """DRAM bytes of the activations that one token leaves on ``stage``."""
        recompute = self.method.switches.recompute
        saved: int = saved_bytes_per_token(self.model, self.length, recompute, self.element, stage.numbers)
        return saved

    def micro_batches(self) -> Iterator[int | None]:
        """Sizes of micro-batches to try; ``None`` for as many sequences as fit."""
        spec, given = self.spec, self.spec.micro_batch
        if spec.pipeline == 1 and not given:
            yield None
            return
        sizes = [given] if given else _sizes(self.batch, spec.pipeline)
        any_fits = False
        for size in sizes:
            if size > self.batch:
                raise ValueError(
                    f"parallel.micro_batch = {size}: must be at most the {self.batch} sequences of a replica"
                )
            if spec.interleave == 1 or ceil(self.batch / size) % spec.pipeline == 0:
                any_fits = True
                yield size
        if not any_fits:
            what = f" of {given}" if given else ""
            raise ValueError(
                f"parallel.interleave = {spec.interleave}: the {self.batch} sequences of a replica make no "
                f"multiple of {spec.pipeline} micro-batches{what}"
            )

    def work(self, size: int | None) -> tuple[StepWork, Stage]:
        """What a package works on with micro-batches of ``size`` sequences, and the fullest stage."""
        need, fullest = self.need(size)
        work = step_work(
            self.method,
            self.system,
            global_batch=self.batch,
            length=self.own_length,
            optimizer=self.optimizer,
            mini_batch=self.mini_batch,
            dram=need,
            context=self.context,
        )
        return work, fullest

    def need(self, size: int | None) -> tuple[DramNeed, Stage]:
        """What DRAM holds on the fullest stage with micro-batches of ``size`` sequences, and that stage."""
        count = 1 if size is None else ceil(self.batch / size)

        def need(stage: Stage) -> DramNeed:
            live = in_flight(
                stage.number,
                stages=len(self.stages),
                micro_batches=count,
                interleave=self.spec.interleave,
            )
            saved = ceil(self.saved_size(stage) * self.own_length * live) + self._gathered_size()
            return DramNeed(ceil(stage.parameters * self.state_size), saved, size)

        def held(stage: Stage) -> Number:
            return need(stage).state + need(stage).saved * (size or 1)

        fullest = max(self.stages, key=held)
        return need(fullest), fullest

    def _gathered_size(self) -> int:
        """DRAM bytes of the keys and values of other packages that a sequence needs: those of one layer, of all
        packages or, in a ring, of one that is used and of one that comes.
        """
        others = self.spec.context - 1
        if self.context.ring:
            others = min(2, others)
        features = self.model.qkv_features() - self.model.query_features
        size: int = others * self.own_length * features * self.element
        return size

    def passes(self, whole: StepAccount, number: Number) -> tuple[PassAccount, ...]:
        """The passes of ``whole`` over the blocks of stage ``number``; only the last stage has the output head."""
        passes = (
            replace(one_pass, layers=one_of([stage.blocks[one_pass.block] for stage in self.stages], number))
            for one_pass in whole.passes
        )
        return tuple(one_pass for one_pass in passes if is_array(one_pass.layers) or one_pass.layers)

    def account(
        self, whole: StepAccount, micro_batch: Number, micro_batches: Number, fullest: Stage
    ) -> ParallelAccount:
        """Account of the step on all packages, in ``micro_batches`` of ``micro_batch`` sequences.

        ``whole`` is that of a replica as if it were on one package.
        """
        spec, fabric, count = self.spec, self.system.fabric, micro_batches
        forward: list[Number] = []
        backward: list[Number] = []
        between = exchange(self.method, self.machine, micro_batch, self.length, self.gradient_size)
        exposed = {"forward": between.forward, "backward": between.backward}
        for stage in self.stages:
            embedding = whole.embedding_seconds if stage.first else 0.0
            for direction, times, share in (("forward", forward, 1 / 3), ("backward", backward, 2 / 3)):
                seconds = sum(
                    one_pass.layer_seconds * stage.blocks[one_pass.block]
                    for one_pass in whole.passes
                    if one_pass.direction == direction and stage.blocks[one_pass.block]
                )
                times.append((seconds + embedding * share) / count + stage.layers * exposed[direction])
        crossing_bytes: Number = 0.0
        crossing: Number = 0.0
        if len(self.stages) > 1:
            crossing_bytes = 1.0 * micro_batch * self.own_length * self.model.hidden * self.element
            crossing = crossing_bytes / fabric.bytes_per_second + fabric.latency_seconds
        seconds = tuple(map(sum, zip(forward, backward, strict=True)))
        time = pipeline_time(
            seconds,
            micro_batches=count,
            interleave=spec.interleave,
            crossing=crossing,
            overlap=spec.overlap,
        )
        # The last backward pass reaches the stages one after the other, the first stage last.
        early = tuple(
            sum(backward[: stage.number]) / spec.interleave + stage.number * crossing for stage in self.stages
        )
        return ParallelAccount(
            self.stages,
            seconds,
            micro_batch,
            count,
            crossing_bytes,
            crossing,
            time,
            tuple(self._ending(stage, backward[stage.number], whole, count) for stage in self.stages),
            early,
            fullest,
            self.state_size,
            self.saved_size(fullest),
            self._fabric_bytes(),
            between,
        )

    def update(self, stage: Stage) -> tuple[DramTraffic, Number]:
        """DRAM traffic of a stage's weight update, and its time on the vector units."""
        share = 1 / self.spec.copies if self.spec.shard_optimizer else 1.0
        nodes = self.method.mesh.nodes
        work = self.method.update_work(self.optimizer, stage.parameters, stage.blocks) * (share / nodes)
        return (
            update_traffic(stage.parameters, self.optimizer, self.element, nodes, share),
            self.machine.vector_seconds(work),
        )

    def ring(self, data_bytes: float, packages: int) -> Number:
        """Time of a reduce-scatter or all-gather of ``data_bytes`` over ``packages``."""
        fabric = self.system.fabric
        return ring_seconds(
            packages, data_bytes, rate=fabric.bytes_per_second, latency=fabric.latency_seconds
        )

    def _ending(self, stage: Stage, backward: Number, whole: StepAccount, count: Number) -> Ending:
        """``backward``: seconds of a micro-batch's backward pass on ``stage``, one of ``count``.

        What the backward pass does not hide of the update follows the sums of gradients.
        """
        spec = self.spec
        ring = self.ring(stage.parameters * self.gradient_size, spec.copies)
        gradients = ring if spec.shard_optimizer else 2 * ring
        exposed = gradients
        if spec.overlap:
            # The gradients of a layer are sent behind the backward pass of the layers before it.
            hidden = backward * (stage.layers - 1) / stage.layers
            exposed = larger(gradients / stage.layers, gradients - hidden)
        tied: Number = 0.0
        if self.model.tied and len(self.stages) > 1 and (stage.first or stage.last):
            tied = 2 * self.ring(self.model.vocab * self.model.table_features * self.gradient_size, 2)
        traffic, vector = self.update(stage)
        update = WeightUpdate.of(
            self.method,
            (traffic.seconds(self.system, self.method.mesh, self.plane), vector),
            parameters=stage.parameters,
            layers=stage.numbers,
            ends=[label for label in ("input", "head") if stage.blocks.get(label)],
            last_round=1 / count,
            overlap=self.method.switches.overlap and (spec.overlap or spec.copies == 1),
        )
        gather = self.ring(stage.parameters * self.element, spec.copies) if spec.shard_optimizer else 0.0
        return Ending(gradients, exposed, tied, update.seconds(whole.passes), gather)

    def _fabric_bytes(self) -> float:
        """Bytes that all packages send to others in a step."""
        spec, model = self.spec, self.model
        parameters = sum(stage.parameters for stage in self.stages)
        summed = self.gradient_size * (1 if spec.shard_optimizer else 2)
        gathered = self.element if spec.shard_optimizer else 0
        total = (spec.copies - 1) * parameters * float(summed + gathered)
        if len(self.stages) > 1:
            boundaries = spec.pipeline * spec.interleave - 1
            total += 2.0 * boundaries * self.global_batch * self.length * model.hidden * self.element
            if model.tied:
                total += 2.0 * spec.copies * model.vocab * model.table_features * self.gradient_size
        if spec.context > 1:
            sizes = key_passes(self.method, spec) * self.element + self.gradient_size
            keys = model.layers * (model.qkv_features() - model.query_features)
            total += 1.0 * (spec.context - 1) * self.global_batch * self.length * keys * sizes
        return total

    @property
    def shorter(self) -> int:
        """Replicas with one sequence less than the others."""
        return self.spec.data * self.batch - self.global_batch

    def events(self, whole: StepAccount, less: StepAccount) -> Events:
        """Events of all packages: those of every replica, and the DRAM accesses of transfers between packages.

        ``less`` is the account of a replica that is :attr:`shorter`.
        """
        spec = self.spec
        total = (whole.events * (spec.data - self.shorter) + less.events * self.shorter) * spec.context
        if spec.shard_optimizer:
            traffic = update_traffic(self.model.parameters, self.optimizer, 0, self.method.mesh.nodes)
            work = self.method.update_work(self.optimizer, self.model.parameters)
            update = traffic_events(traffic, self.system.package, self.method.mesh)
            update += Events(vector_operations=work.operations, sram_bytes=work.scratchpad_bytes)
            total += update * (1 - spec.copies)
        return total + Events(dram_bits=2 * 8 * self._fabric_bytes())


def _sizes(batch: int, stages: int) -> list[int]:
    """Micro-batches to try: powers of two, and equal parts, as many as the stages times a power of two."""
    powers = {1 << power for power in range(batch.bit_length())}
    return sorted(powers | {ceil(batch / (stages * power)) for power in powers if stages * power <= batch})
