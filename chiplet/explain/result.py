"""The terms of what a result says beside its totals: the parts of the step, memory, and several packages.

Each is named by its place in the result, as in ``breakdown.nop_exposed``.
"""

from __future__ import annotations

from typing import Any, Protocol

from chiplet.explain.ledger import Ledger, Operand
from chiplet.projection.project import Accounted
from chiplet.schedule.buffers import STATE_BYTES, saved_bytes_per_token
from chiplet.step.account import PassAccount

_FITS = "the largest that fits beside token tiles, equal over a round; chosen by chiplet/schedule/fit.py"


class ResultTerms(Protocol):
    """A number of a pass over all layers."""

    def __call__(self, each: PassAccount) -> float:
        """The number."""


def add_breakdown(book: Ledger, found: Accounted, terms: dict[str, Operand]) -> None:
    """The parts of the step; ``terms`` are those of ``array time``, ``NoP time``, ``embedding``, ``optimizer``,
    ``optimizer DRAM``, ``optimizer vector``, and, of several packages, ``between``: bubble first.
    """
    account, parts = found.step, found.projection.breakdown

    def passes(name: str, value: ResultTerms, direction: str = "") -> list[Operand]:
        return [
            book.count(f"{name} of {each.block} {each.direction}", float(value(each)), "s", "assumed")
            for each in account.passes
            if each.direction.startswith(direction)
        ]

    embedding = account.embedding_seconds
    forward = book.count("embedding, a third", embedding / 3, "s", "assumed")
    backward = book.count("embedding, two thirds", embedding * 2 / 3, "s", "assumed")
    sums: dict[str, list[Operand]] = {
        "compute": [terms["array time"]],
        "nop_exposed": passes("exposed NoP time", lambda each: each.on_package.nop_exposed * each.layers),
        "vector_exposed": passes(
            "exposed vector time", lambda each: each.on_package.vector_exposed * each.layers
        ),
        "dram_exposed": [
            *passes("exposed DRAM time", lambda each: each.dram_exposed * each.layers),
            terms["embedding"],
        ],
        "optimizer": [terms["optimizer"]],
        "vector_busy": [
            *passes("vector time", lambda each: each.on_package.vector * each.layers),
            terms["optimizer vector"],
        ],
        "nop_busy": [terms["NoP time"]],
        "dram_busy": [
            *passes("DRAM time", lambda each: each.memory_seconds * each.layers),
            terms["embedding"],
            terms["optimizer DRAM"],
        ],
        "forward": [*passes("time", lambda each: each.seconds, "forward"), forward],
        "backward": [*passes("time", lambda each: each.seconds, "backward"), backward],
        "optimizer_step": [terms["optimizer"]],
        "pipeline_bubble": [each for name, each in terms.items() if name == "pipeline bubble"],
        "fabric_exposed": [each for name, each in terms.items() if name.startswith("between: ")],
    }
    for name, operands in sums.items():
        how, formula = "sum", "sum over passes, and what runs beside them"
        if not operands:
            how, formula = "formula", "nothing, on one package"
        book.add(f"breakdown.{name}", float(getattr(parts, name)), "s", how, formula, operands)


def add_memory(book: Ledger, found: Accounted) -> None:
    """What DRAM and buffers hold, and what the schedule chose for that."""
    result, method, several = found.projection, found.method, found.parallel
    model, memory, element = method.model, result.memory, method.element_bytes
    stored, size = model.parameters, float(element + STATE_BYTES[result.optimizer])
    saved = saved_bytes_per_token(model, result.sequence_length, method.switches.recompute, element)
    if several is not None:  # the fullest package
        stored, size, saved = several.fullest.parameters, several.state, several.saved
    parameters = book.count("parameters", float(stored), "parameters")
    each = book.count("bytes a parameter", size, "bytes", "assumed")
    formula = "parameters x (operand copy + master, gradient and moments)"
    state = book.add("DRAM state", stored * size, "bytes", "product", formula, [parameters, each])
    held = memory.dram.needed_bytes - stored * size
    tokens = book.count("tokens of a round", held / saved, "tokens", "assumed")
    bytes_ = book.count("saved bytes a token", float(saved), "bytes", "published")
    formula = "tokens of a round x saved bytes of all layers"
    activations = book.add("DRAM activations", float(held), "bytes", "product", formula, [tokens, bytes_])
    needed = float(memory.dram.needed_bytes)
    book.add("DRAM needed", needed, "bytes", "sum", "state + activations", [state, activations])
    channels = float(found.machine.system.memory.package_channels(method.mesh.edge_links))
    there = [book.count("channels", channels, "", "assumed"), book.given("memory.channel_bytes")]
    available = float(memory.dram.available_bytes)
    book.add("DRAM available", available, "bytes", "product", "channels x bytes of a channel", there)
    share = book.count("a die's share", 1 / result.dies, "", "assumed")
    operand = book.count("bytes of an operand", float(element), "bytes", "assumed")
    for name, value, one in (
        ("weight_bytes_per_die", memory.weight_bytes_per_die, operand),
        ("state_bytes_per_die", memory.state_bytes_per_die, each),
    ):
        formula = "parameters x bytes x a die's share"
        book.add(f"memory.{name}", value, "bytes", "product", formula, [parameters, one, share])
    sizes = []
    for name, use in memory.buffers.items():
        sizes.append(book.given(f"die.{name.replace('buffer', 'bytes')}"))
        label = f"{name.replace('_', ' ')} needed"
        formula = "the fullest block's weights, activations or sums: chiplet/schedule/buffers.py"
        book.add(label, float(use.needed_bytes), "bytes", "formula", formula, sizes[-1:])
    chosen: dict[str, tuple[Any, str, str]] = {
        "mini_batch_tokens": (memory.mini_batch_tokens, "tokens", _FITS),
        "parts": (memory.parts, "", "1: fused; more where that fits, or leaves fewer dies idle"),
        "slices": (memory.slices, "", "as few as fit, of each linear's output columns"),
    }
    for name, (values, unit, formula) in chosen.items():
        for block, value in values.items():
            book.add(f"memory.{name}.{block}", float(value), unit, "formula", formula, sizes)
    for block, tiles in memory.token_tiles.items():
        for direction, tile in tiles.items():
            formula = "the quickest of the array's height times powers of two, and the largest that fits"
            name = f"memory.token_tiles.{block}.{direction}"
            book.add(name, float(tile), "tokens", "formula", formula, [book.given("die.rows"), *sizes])
    batch = book.count("global_batch", float(result.global_batch), "sequences", "assumed")
    formula = "as few as leave room in DRAM for the saved activations"
    book.add("memory.rounds", float(memory.rounds), "", "formula", formula, [batch, bytes_, *there])


def add_packages(book: Ledger, found: Accounted) -> None:
    """What the result says of several packages."""
    account, said = found.parallel, found.projection.parallel
    if account is None or said is None:
        return
    batches = book.count("micro-batches", float(said.micro_batches), "", "assumed")
    chosen = "the quickest of powers of two and equal parts, or the one given"
    book.add("parallel.micro_batch", float(said.micro_batch), "sequences", "formula", chosen, [])
    batch = book.count("global_batch", float(found.projection.global_batch), "sequences", "assumed")
    replicas = book.count("parallel.data", float(said.data), "", "assumed")
    formula = "sequences of a replica / micro-batch, rounded up"
    count = float(said.micro_batches)
    book.add("parallel.micro_batches", count, "", "formula", formula, [batch, replicas])
    layers = book.count("layers", float(found.method.model.layers), "layers")
    stages = book.count("parallel.pipeline", float(said.pipeline), "", "assumed")
    for place, value in enumerate(said.stage_layers):
        formula = "equal parts, the rest on the first stages"
        name = f"parallel.stage_layers.{place}"
        book.add(name, float(value), "layers", "formula", formula, [layers, stages])
    working = []
    for place, (seconds, total) in enumerate(zip(account.seconds, said.stage_seconds, strict=True)):
        one = book.count("a micro-batch", seconds, "s", "assumed")
        formula = "micro-batches x forward and backward pass of one"
        name = f"parallel.stage_seconds.{place}"
        working.append(book.add(name, total, "s", "product", formula, [batches, one]))
    for name, formula in (
        ("pace_stage", "the stage that takes longest"),
        ("last_stage", "the stage that is done last"),
    ):
        book.add(f"parallel.{name}", float(getattr(said, name)), "", "formula", formula, working)
    bubble = book.count("idle time of the pipeline", account.time.bubble, "s", "assumed")
    formula = "idle time / time of the micro-batches on the slowest stage"
    book.add("parallel.bubble_share", said.bubble_share, "", "formula", formula, [bubble, *working])
    ports = [book.given(f"fabric.{key}") for key in ("ports", "port_bytes_per_second", "latency_seconds")]
    sent = float(said.transfer_bytes)
    formula = "tokens of a micro-batch x features x bytes of an operand"
    crossing = book.add("parallel.transfer_bytes", sent, "bytes", "formula", formula, [batches])
    formula = "bytes / (ports x bandwidth) + latency"
    book.add("parallel.transfer_seconds", said.transfer_seconds, "s", "formula", formula, [crossing, *ports])
    parameters = book.count("parameters of the stage", float(account.done_last.parameters), "parameters")
    formula = "parameters of the stage that is done last x bytes of a gradient"
    name = "parallel.gradient_bytes"
    gradients = book.add(name, said.gradient_bytes, "bytes", "formula", formula, [parameters])
    formula = "ring all-reduce, or reduce-scatter with a sharded optimizer"
    operands = [gradients, replicas, *ports]
    ring = book.add("parallel.gradient_seconds", said.gradient_seconds, "s", "formula", formula, operands)
    formula = "what the last backward pass does not hide"
    book.add("parallel.gradient_exposed", said.gradient_exposed, "s", "formula", formula, [ring])
    formula = "gradients of all replicas, and activations over all boundaries"
    operands = [gradients, crossing, replicas, stages]
    book.add("parallel.fabric_bytes", said.fabric_bytes, "bytes", "formula", formula, operands)
