"""Every number of a projection as a term: its formula, operands and unit, and how well it is known.

Terms form a tree whose leaves are inputs and sizes of the workload. A term is the sum or the product of its operands,
or follows from them by its formula. A term is known as well as its least known operand: measured, published, assumed.
"""

from __future__ import annotations

from collections.abc import Sequence

from chiplet.explain.ledger import Ledger, Operand, Term
from chiplet.explain.packages import add_between
from chiplet.explain.result import add_breakdown, add_memory, add_packages
from chiplet.machine.memory_plane import memory_plane
from chiplet.projection.project import Accounted
from chiplet.step.collective_time import collective_time
from chiplet.step.dram_traffic import DramTraffic
from chiplet.step.fused_blocks import PassAccount
from chiplet.step.overlap import gemm_seconds, operation_busy
from chiplet.step.runs import RunAccount
from chiplet.workload.operations import CommStep, Operation

_ENERGY: dict[str, tuple[str, str, str]] = {
    "array": ("macs", "multiply-adds", "energy.mac_pj"),
    "vector": ("vector_operations", "vector operations", "energy.vector_pj"),
    "sram": ("sram_bytes", "bytes in and out of buffers", "energy.sram_pj_per_byte"),
    "nop": ("nop_bit_hops", "bits x hops of collectives", "link.pj_per_bit"),
    "memory_nop": ("memory_bit_hops", "bits x hops of memory traffic", "link.pj_per_bit"),
    "dram": ("dram_bits", "bits to and from DRAM", "memory.pj_per_bit"),
}


def explain(accounted: Accounted) -> list[Term]:
    """The terms of ``accounted``, each after its operands."""
    return _Explanation(accounted).terms


class _Explanation(Ledger):
    """The ledger of one projection."""

    def __init__(self, accounted: Accounted) -> None:
        result = accounted.projection
        super().__init__([*result.measured_inputs, *result.assumed_inputs])
        self.accounted = accounted
        self._between: list[Operand] = []
        system = accounted.machine.system
        self._cycle = self.add(
            "seconds a cycle",
            1 / system.die.clock_hz,
            "s",
            "formula",
            "1 / clock",
            [self.given("die.clock_hz")],
        )
        link = accounted.machine.link
        rate = [self.given(name) for name in ("link.lanes", "link.lane_rate", "link.goodput")]
        formula = "8 / (lanes x lane rate x goodput)"
        self._byte = self.add("seconds a byte", 1 / link.bytes_per_second, "s/byte", "formula", formula, rate)
        names = (
            "link.latency_seconds",
            "link.lanes",
            "link.lane_rate",
            "nop.flit_bits",
            "nop.coordinate_bits",
        )
        delay = [self.given(name) for name in (*names, "link.router_cycles", "die.clock_hz")]
        formula = (
            "(cycles of the link's latency, at least 2 + cycles of a full frame - 1 + router cycles) / clock"
        )
        self._hop = self.add("hop", link.hop_seconds, "s", "formula", formula, delay)
        formula = "(stages of the adders + cycles of a word through the scratchpad) / clock, as far as it takes them"
        passed = [self.given(n) for n in ("die.stages", "memory.word_bytes", "nop.flit_bits", "die.clock_hz")]
        most = link.add_seconds + link.store_seconds
        self._die = self.add("die between two steps", most, "s", "formula", formula, passed)
        self._plane = self._memory_plane()
        tokens = float(result.global_batch * result.sequence_length)
        sizes = [
            self.count("global_batch", float(result.global_batch), "", "assumed"),
            self.count("sequence_length", float(result.sequence_length), "tokens", "assumed"),
        ]
        batch = self.add("tokens", tokens, "tokens", "product", "sequences x tokens of a sequence", sizes)
        step = self._step()
        self.add(
            "tokens_per_second", result.tokens_per_second, "1/s", "formula", "tokens / step", [batch, step]
        )
        flops = accounted.method.step_flops(int(tokens), result.sequence_length)
        work = self.count("floating-point operations", float(flops), "", "published")
        die = [self.given(name) for name in ("die.rows", "die.cols", "die.clock_hz")]
        dies = self.count("dies", float(result.dies * result.packages), "dies", "assumed")
        formula = "operations / (step x 2 rows cols clock dies)"
        self.add("mfu", result.mfu, "", "formula", formula, [work, step, *die, dies])
        self._energy(step, dies)
        account = accounted.step
        compute = self._total(
            "array time", [one_pass.on_package.compute * one_pass.layers for one_pass in account.passes]
        )
        embedding = self.count("NoP time of the embedding", float(account.embedding_nop), "s", "assumed")
        nop = self._total(
            "NoP time", [one_pass.on_package.nop * one_pass.layers for one_pass in account.passes], embedding
        )
        self.add(
            "compute_to_nop", result.compute_to_nop, "", "formula", "array time / NoP time", [compute, nop]
        )
        self._elements()
        add_breakdown(self, accounted, self._named(compute, nop))
        add_memory(self, accounted)
        add_packages(self, accounted)

    def _total(self, name: str, parts: Sequence[float], *others: Operand) -> Operand:
        operands = [
            self.count(f"{name} of {one_pass.block} {one_pass.direction}", seconds, "s", "assumed")
            for one_pass, seconds in zip(self.accounted.step.passes, parts, strict=True)
        ]
        total = sum(parts) + sum(operand.value for operand in others)
        return self.add(name, total, "s", "sum", "sum over passes", [*operands, *others])

    def _step(self) -> Operand:
        account = self.accounted.step
        parts = [self._pass(one_pass) for one_pass in account.passes]
        rows = self._traffic("embedding DRAM", account.embedding, account.embedding_dram)
        formula = "collectives of rows and of their gradients: docs/method.md"
        sent = self.add(
            "embedding NoP", float(account.embedding_nop), "s", "formula", formula, [self._byte, self._hop]
        )
        formula = "max(DRAM time, NoP time) of the embedding"
        value = float(account.embedding_seconds)
        parts.append(self.add("embedding", value, "s", "formula", formula, [rows, sent]))
        update = self._traffic("optimizer DRAM", account.update, account.update_dram)
        lanes = [self.given("vector.lanes"), self.given("vector.function_lanes"), self._cycle]
        formula = "elements of the update's passes / dies / lanes x seconds a cycle"
        vector = self.add("optimizer vector", account.update_vector, "s", "formula", formula, lanes)
        passes = [
            self.count(f"backward pass of {one_pass.block}", one_pass.seconds, "s", "assumed")
            for one_pass in account.passes
            if one_pass.direction == "backward"
        ]
        formula = (
            "max(DRAM time, vector time) of what nothing follows, and what each pass of the last round, with its "
            "own DRAM and vector time, does not hide of the block before it: chiplet/step/weight_update.py"
        )
        operands = [update, vector, *passes]
        parts.append(self.add("optimizer", float(account.update_seconds), "s", "formula", formula, operands))
        formula = "passes + embedding + optimizer"
        if self.accounted.parallel is not None:
            self._between = add_between(self, self.accounted.parallel, self.accounted.machine.system.parallel)
            parts += self._between
            formula += " + pipeline bubble + traffic between packages"
        return self.add("step", account.seconds, "s", "sum", formula, parts)

    def _named(self, *operands: Operand) -> dict[str, Operand]:
        """Terms that the parts of the step are made of, by name."""
        names = ("embedding DRAM", "optimizer", "optimizer DRAM", "optimizer vector")
        terms = {term.name: term for term in self.terms}
        named = {operand.name: operand for operand in operands}
        for name in names:
            named[name] = self.count(name, terms[name].value, "s", terms[name].status)
        for operand in self._between:
            named[operand.name if operand.name == "pipeline bubble" else f"between: {operand.name}"] = operand
        return named

    def _pass(self, one_pass: PassAccount) -> Operand:
        name = f"{one_pass.block} {one_pass.direction}"
        layers = self.count("layers", float(one_pass.layers), "layers")
        parts = []
        for number, run in enumerate(one_pass.runs):
            parts += self._run(name if not number else f"{name}, last {run.tokens} tokens", run, layers)
        if one_pass.once.elapsed:
            once = self.count("replicated weights and gains a layer", one_pass.once.elapsed, "s", "assumed")
            value = one_pass.once.elapsed * one_pass.layers
            label = f"{name}: NoP once a step"
            parts.append(self.add(label, value, "s", "product", "layers x seconds", [layers, once]))
        memory = self._traffic(f"{name}: DRAM", one_pass.traffic, one_pass.memory_seconds)
        waiting = self.count("waiting for weights and gradients", one_pass.waiting, "s", "assumed")
        package = self.count("time without DRAM", one_pass.on_package.elapsed, "s", "assumed")
        formula = "layers x (max(0, DRAM - time without DRAM) + waiting)"
        exposed = one_pass.dram_exposed * one_pass.layers
        label = f"{name}: DRAM exposed"
        parts.append(self.add(label, exposed, "s", "formula", formula, [layers, memory, package, waiting]))
        return self.add(
            name, one_pass.seconds, "s", "sum", "array + exposed NoP, vector and DRAM time", parts
        )

    def _run(self, name: str, run: RunAccount, layers: Operand) -> list[Operand]:
        """Time of the mini-batches ``run`` in all layers, by resource."""
        runs = self.count("mini-batches", float(run.times), "", "assumed")
        batch: dict[str, list[Operand]] = {"array": [], "NoP exposed": [], "vector exposed": []}
        for position, operation in enumerate(run.operations, start=1):
            place = f"{name}: {position} {operation.name}"
            for resource, operand in zip(batch, self._operation(place, operation, run), strict=True):
                batch[resource].append(self._times(operand, operation))
        values = (run.busy.compute, run.busy.nop_exposed, run.busy.vector_exposed)
        parts = []
        for (resource, operands), value in zip(batch.items(), values, strict=True):
            formula = "sum over the operations of a mini-batch"
            one = self.add(f"{name}: {resource} a mini-batch", value, "s", "sum", formula, operands)
            formula = "layers x mini-batches x seconds"
            total = value * run.times * layers.value
            parts.append(self.add(f"{name}: {resource}", total, "s", "product", formula, [layers, runs, one]))
        return parts

    def _times(self, one: Operand, operation: Operation) -> Operand:
        """The time of an operation in a mini-batch, from that of one run."""
        if operation.times == 1:
            return one
        times = self.count("runs alike", float(operation.times), "", "assumed")
        value = one.value * operation.times
        return self.add(f"{one.name}, all runs alike", value, "s", "product", "runs x seconds", [times, one])

    def _operation(
        self, place: str, operation: Operation, run: RunAccount
    ) -> tuple[Operand, Operand, Operand]:
        machine, method = self.accounted.machine, self.accounted.method
        busy = operation_busy(operation, machine, method, run.tokens, run.tile)
        clock = machine.system.die.clock_hz
        cycles_of = [self.given(name) for name in self.inputs if name.startswith("gemm.")]
        gemms = []
        for step in operation.gemms:
            seconds = gemm_seconds(step, machine, run.tile)
            shape = f"{step.m} x {step.k} x {step.n}"
            tile = step.tile_tokens(run.tile)
            formula = f"{step.count} x cycles of {shape}, tiles of {tile}: chiplet/machine/terms.py"
            name = f"{place}: {step.name}"
            cycles = self.add(f"{name}, cycles", seconds * clock, "cycles", "formula", formula, cycles_of)
            operands = [cycles, self._cycle]
            gemms.append(self.add(name, seconds, "s", "product", "cycles x seconds a cycle", operands))
        array = self.add(f"{place}: array", busy.compute, "s", "sum", "sum of the GEMMs", gemms)
        repeats = method.tile_count(run.tokens, run.tile) if method.token_tiled else 1
        nop = [self._comm(place, step, 1 if step.weights else repeats) for step in operation.comms]
        lanes = [self.given("vector.lanes"), self.given("vector.function_lanes"), self._cycle]
        formula = "elements of passes / lanes x seconds a cycle"
        vector = self.add(f"{place}: vector unit", busy.vector, "s", "formula", formula, lanes)
        tiles = self.count("overlapping tiles", float(repeats), "", "assumed")
        formula = "busiest + (sum - busiest) / tiles, or the sum without overlap; less array and vector parts"
        first = self.add(
            f"{place}: NoP exposed", busy.nop_exposed, "s", "formula", formula, [array, *nop, vector, tiles]
        )
        formula = "what the vector unit adds beyond the array when it is busier than the NoP"
        second = self.add(
            f"{place}: vector exposed", busy.vector_exposed, "s", "formula", formula, [array, *nop, vector]
        )
        return array, first, second

    def _comm(self, place: str, step: CommStep, repeats: int) -> Operand:
        link = self.accounted.machine.link
        name = f"{place}: {step.name}"
        elements = self.count("elements over the busiest link", step.serial_elements, "elements")
        size = self.count("bytes an element", float(step.element_bytes), "bytes", "assumed")
        tiles = self.count("token tiles", float(repeats), "", "assumed")
        steps = self.count("steps", float(step.steps), "steps")
        time = collective_time(step, link, repeats)
        formula = "elements x bytes x seconds a byte / steps / token tiles"
        operands = [elements, size, self._byte, steps, tiles]
        parts = [self.add(f"{name}, data of a step", time.data, "s", "formula", formula, operands)]
        if step.cost is not None:
            hops = self.count("hops of the longest step", float(step.cost.hops), "hops")
            way = self.count("hops of the longest way", float(step.cost.way), "hops")
            formula = (
                "hops of the longest step x hop, less what its frames are too short or drain too soon for"
            )
            operands = [parts[0], hops, self._hop]
            parts.append(self.add(f"{name}, first step", time.latency, "s", "formula", formula, operands))
            formula = (
                "max(other steps x data of a step, other hops x hop + other steps x die between two steps, "
                "and between these: half of the steps of a ring as hops, the others as data; of the sums of a chain "
                "also one more addition), less what the last frame is too short for"
            )
            if step.cost.form == "broadcasts":
                formula = "other steps x (data of a step + hops x hop)"
            operands = [parts[0], steps, hops, way, self._hop, self._die]
            parts.append(self.add(f"{name}, other steps", time.further, "s", "formula", formula, operands))
        formula = f"{step.op}: data of a step + first step + other steps"
        one = self.add(f"{name}, a tile", sum(time), "s", "sum", formula, parts)
        return self.add(name, repeats * one.value, "s", "product", "token tiles x seconds", [tiles, one])

    def _memory_plane(self) -> list[Operand]:
        """What the rate of the memory plane follows from, and that rate."""
        system = self.accounted.machine.system
        plane = memory_plane(system, self.accounted.method.mesh)
        links = [
            self.given(name)
            for name in ("link.lanes", "link.lane_rate", "link.goodput", "nop.flit_bits", "die.clock_hz")
        ]
        flits = self.add(
            "flits a cycle of a link",
            plane.flits_per_cycle,
            "",
            "formula",
            "flits of a frame / its cycles",
            links,
        )
        sharing = self.count("dies behind an IO die", float(plane.sharing), "dies", "assumed")
        of_memory = ("memory.word_bytes", "memory.latency_cycles", "memory.outstanding")
        operands = [flits, sharing, *(self.given(name) for name in of_memory)]
        for kind, share in (("reads", 0.0), ("writes", 1.0)):
            rate = plane.bytes_per_second(share)
            formula = "dies / time of a byte of each"
            self.add(f"memory plane, {kind}", rate, "bytes/s", "formula", formula, operands)
        return operands

    def _traffic(self, name: str, traffic: DramTraffic, seconds: float) -> Operand:
        mesh, system = self.accounted.method.mesh, self.accounted.machine.system
        channels = [
            self.count("bytes of DRAM", traffic.dram, "bytes", "assumed"),
            self.count("channels", float(system.memory.package_channels(mesh.edge_links)), "", "assumed"),
            self.given("memory.channel_bytes_per_second"),
            self.given("memory.efficiency"),
        ]
        dram, plane = traffic.dram_seconds(system, mesh), traffic.plane_seconds(memory_plane(system, mesh))
        slower = "DRAM" if dram >= plane else "memory plane"
        formula = "bytes / channels / bandwidth / efficiency"
        of_dram = self.add(f"{name}, channels", dram, "s", "formula", formula, channels)
        read, written = traffic.per_die - traffic.written, traffic.written
        ways = [
            self.count("bytes that a die reads", read, "bytes", "assumed"),
            self.count("bytes that a die writes", written, "bytes", "assumed"),
            *self._plane,
        ]
        formula = "dies of an IO die x flits / flits a cycle / clock: chiplet/machine/memory_plane.py"
        of_plane = self.add(f"{name}, memory plane", plane, "s", "formula", formula, ways)
        formula = f"the slower one, here the {slower}"
        return self.add(name, seconds, "s", "formula", formula, [of_dram, of_plane])

    def _energy(self, step: Operand, dies: Operand) -> None:
        result, events = self.accounted.projection, self.accounted.step.events
        wire_bits = self.accounted.machine.link.wire_bits
        pico = self.count("joules a picojoule", 1e-12, "J/pJ", "measured")
        parts = []
        for part, (attribute, unit, key) in _ENERGY.items():
            count = self.count(unit, getattr(events, attribute), unit, "assumed")
            operands = [count, self.given(key), pico]
            formula = "counted events x energy of one"
            if key == "link.pj_per_bit":
                operands.append(self.count("bits on the wires a bit", float(wire_bits), "", "assumed"))
                formula = "counted events x energy of one x bits on the wires for each"
            name = f"energy of {part.replace('_', ' ')}"
            parts.append(self.add(name, result.energy[part], "J", "product", formula, operands))
        if self.accounted.parallel is not None:
            sent = self.count(
                "bits between packages", 8 * self.accounted.parallel.fabric_bytes, "bits", "assumed"
            )
            operands = [sent, self.given("fabric.pj_per_bit"), pico]
            value, formula = result.energy["fabric"], "bits x energy of one"
            parts.append(self.add("energy of fabric", value, "J", "product", formula, operands))
        operands = [self.given("energy.static_watts"), dies, step]
        static = result.energy["static"]
        parts.append(
            self.add("energy of static", static, "J", "product", "power of a die x dies x step", operands)
        )
        self.add("energy", result.energy_joules, "J", "sum", "sum of the parts", parts)

    def _elements(self) -> None:
        result = self.accounted.projection
        value = result.nop_elements_per_die_per_layer
        formula = "received by a die for one layer, both passes, global batch: docs/method.md"
        operands = [self.count("dies", float(result.dies)), self.count("batch", float(result.global_batch))]
        self.add("nop_elements_per_die_per_layer", value, "elements", "formula", formula, operands)
