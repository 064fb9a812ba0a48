"""The terms of a result besides its totals: parts of the step, memory, and several packages.

A term has the name of its place in the result, as in ``breakdown.nop_exposed``.
"""

from __future__ import annotations

from typing import Any, Protocol

from chiplet.explain.ledger import Derivation, Ledger, Operand
from chiplet.projection.project import Accounted
from chiplet.schedule.buffers import STATE_BYTES, saved_bytes_per_token
from chiplet.step.fused_blocks import PassAccount

_FITS = "the largest that fits beside token tiles, equal over a round; chosen by chiplet/schedule/fit.py"


class ResultTerms(Protocol):
    """A number of a pass over all layers."""

    def __call__(self, one_pass: PassAccount) -> float:
        """The number."""


def add_breakdown(ledger: Ledger, accounted: Accounted, terms: dict[str, Operand]) -> None:
    """Add the parts of the step. ``terms`` has ``array time``, ``NoP time``, ``embedding DRAM``, ``optimizer``,
    ``optimizer DRAM``, ``optimizer vector``, and for several packages ``pipeline bubble`` and ``between: ...``.
    """
    account, parts = accounted.step, accounted.projection.breakdown

    def passes(name: str, value: ResultTerms, direction: str = "") -> list[Operand]:
        return [
            ledger.count(
                f"{name} of {one_pass.block} {one_pass.direction}", float(value(one_pass)), "s", "assumed"
            )
            for one_pass in account.passes
            if one_pass.direction.startswith(direction)
        ]

    embedding = account.embedding_seconds
    forward = ledger.count("embedding, a third", embedding / 3, "s", "assumed")
    backward = ledger.count("embedding, two thirds", embedding * 2 / 3, "s", "assumed")
    beyond = ledger.count("embedding, NoP beyond DRAM", embedding - account.embedding_dram, "s", "assumed")
    sums: dict[str, list[Operand]] = {
        "compute": [terms["array time"]],
        "nop_exposed": [
            *passes("exposed NoP time", lambda one_pass: one_pass.on_package.nop_exposed * one_pass.layers),
            beyond,
        ],
        "vector_exposed": passes(
            "exposed vector time", lambda one_pass: one_pass.on_package.vector_exposed * one_pass.layers
        ),
        "dram_exposed": [
            *passes("exposed DRAM time", lambda one_pass: one_pass.dram_exposed * one_pass.layers),
            terms["embedding DRAM"],
        ],
        "optimizer": [terms["optimizer"]],
        "vector_busy": [
            *passes("vector time", lambda one_pass: one_pass.on_package.vector * one_pass.layers),
            terms["optimizer vector"],
        ],
        "nop_busy": [terms["NoP time"]],
        "dram_busy": [
            *passes("DRAM time", lambda one_pass: one_pass.memory_seconds * one_pass.layers),
            terms["embedding DRAM"],
            terms["optimizer DRAM"],
        ],
        "forward": [*passes("time", lambda one_pass: one_pass.seconds, "forward"), forward],
        "backward": [*passes("time", lambda one_pass: one_pass.seconds, "backward"), backward],
        "optimizer_step": [terms["optimizer"]],
        "pipeline_bubble": [one_pass for name, one_pass in terms.items() if name == "pipeline bubble"],
        "fabric_exposed": [one_pass for name, one_pass in terms.items() if name.startswith("between: ")],
    }
    for name, operands in sums.items():
        how: Derivation = "sum" if operands else "formula"
        formula = "sum over passes, and what runs beside them" if operands else "nothing, on one package"
        ledger.add(f"breakdown.{name}", float(getattr(parts, name)), "s", how, formula, operands)


def add_memory(ledger: Ledger, accounted: Accounted) -> None:
    """Add what DRAM and buffers hold, and what the schedule chose."""
    result, method, several = accounted.projection, accounted.method, accounted.parallel
    model, memory, element = method.model, result.memory, method.element_bytes
    stored, size = model.parameters, float(element + STATE_BYTES[result.optimizer])
    saved = saved_bytes_per_token(model, result.sequence_length, method.switches.recompute, element)
    if several is not None:  # the fullest package
        stored, size, saved = several.fullest.parameters, several.state, several.saved
    _add_sizes(ledger, accounted)
    parameters = ledger.count("parameters", float(stored), "parameters")
    parameter_size = ledger.count("bytes a parameter", size, "bytes", "assumed")
    formula = "parameters x (operand copy + master, gradient and moments)"
    state = ledger.add("DRAM state", stored * size, "bytes", "product", formula, [parameters, parameter_size])
    held = memory.dram.needed_bytes - stored * size
    tokens = ledger.count("tokens of a round", held / saved, "tokens", "assumed")
    bytes_ = ledger.count("saved bytes a token", float(saved), "bytes", "published")
    formula = "tokens of a round x saved bytes of all layers"
    activations = ledger.add("DRAM activations", float(held), "bytes", "product", formula, [tokens, bytes_])
    needed = float(memory.dram.needed_bytes)
    ledger.add("DRAM needed", needed, "bytes", "sum", "state + activations", [state, activations])
    channels = float(accounted.machine.system.memory.package_channels(method.mesh.edge_links))
    there = [ledger.count("channels", channels, "", "assumed"), ledger.given("memory.channel_bytes")]
    available = float(memory.dram.available_bytes)
    ledger.add("DRAM available", available, "bytes", "product", "channels x bytes of a channel", there)
    share = ledger.count("a die's share", 1 / result.dies, "", "assumed")
    operand = ledger.count("bytes of an operand", float(element), "bytes", "assumed")
    for name, value, one in (
        ("weight_bytes_per_die", memory.weight_bytes_per_die, operand),
        ("state_bytes_per_die", memory.state_bytes_per_die, parameter_size),
    ):
        formula = "parameters x bytes x a die's share"
        ledger.add(f"memory.{name}", value, "bytes", "product", formula, [parameters, one, share])
    sizes = []
    for name, use in memory.buffers.items():
        sizes.append(ledger.given(f"die.{name.removesuffix('_buffer')}_bytes"))
        label = f"{name.replace('_', ' ')} needed"
        formula = "the fullest block's weights, activations or sums: chiplet/schedule/buffers.py"
        ledger.add(label, float(use.needed_bytes), "bytes", "formula", formula, sizes[-1:])
    chosen: dict[str, tuple[Any, str, str]] = {
        "mini_batch_tokens": (memory.mini_batch_tokens, "tokens", _FITS),
        "parts": (
            memory.parts,
            "",
            "1: fused; more where that fits, or leaves fewer dies idle; 4: attention in blocks of keys",
        ),
        "slices": (memory.slices, "", "as few as fit, of each linear's output columns"),
    }
    for name, (values, unit, formula) in chosen.items():
        for block, value in values.items():
            ledger.add(f"memory.{name}.{block}", float(value), unit, "formula", formula, sizes)
    for block, tiles in memory.token_tiles.items():
        for direction, tile in tiles.items():
            formula = "the quickest of the array's height times powers of two, and the largest that fits"
            name = f"memory.token_tiles.{block}.{direction}"
            ledger.add(name, float(tile), "tokens", "formula", formula, [ledger.given("die.rows"), *sizes])
    batch = ledger.count("global_batch", float(result.global_batch), "sequences", "assumed")
    formula = "as few as leave room in DRAM for the saved activations"
    ledger.add("memory.rounds", float(memory.rounds), "", "formula", formula, [batch, bytes_, *there])


def _add_sizes(ledger: Ledger, accounted: Accounted) -> None:
    """Add the parameters of the model, and those that one token uses."""
    model = accounted.method.model
    parts = []
    for kind in model.ffn_kinds:
        name = "a layer" if kind.label == kind.block else f"a layer with {kind.label}"
        layers = ledger.count("layers", float(len(kind.numbers)), "layers")
        one = ledger.count(f"parameters of {name}", float(kind.layer.layer_parameters), "parameters")
        value = float(len(kind.numbers) * kind.layer.layer_parameters)
        formula = "layers x parameters of a layer"
        label = f"parameters of all layers{kind.label.removeprefix(kind.block).replace('_', ' of ')}"
        parts.append(ledger.add(label, value, "parameters", "formula", formula, [layers, one]))
    parts += [
        ledger.count("parameters of the embedding", float(model.embedding_parameters), "parameters"),
        ledger.count("parameters behind the layers", float(model.head_parameters), "parameters"),
    ]
    formula = "parameters of all layers + embedding + what is behind the layers, a tied table once"
    total = float(model.parameters)
    whole = ledger.add("parameters of the model", total, "parameters", "formula", formula, parts)
    formula = "parameters without those of experts that a token does not go to"
    used = float(model.active_parameters)
    ledger.add("parameters that a token uses", used, "parameters", "formula", formula, [whole])


def add_packages(ledger: Ledger, accounted: Accounted) -> None:
    """Add the numbers of several packages."""
    account, result = accounted.parallel, accounted.projection.parallel
    if account is None or result is None:
        return
    batches = ledger.count("micro-batches", float(result.micro_batches), "", "assumed")
    chosen = "the quickest of powers of two and equal parts, or the one given"
    ledger.add("parallel.micro_batch", float(result.micro_batch), "sequences", "formula", chosen, [])
    batch = ledger.count("global_batch", float(accounted.projection.global_batch), "sequences", "assumed")
    replicas = ledger.count("parallel.data", float(result.data), "", "assumed")
    formula = "sequences of a replica / micro-batch, rounded up"
    count = float(result.micro_batches)
    ledger.add("parallel.micro_batches", count, "", "formula", formula, [batch, replicas])
    layers = ledger.count("layers", float(accounted.method.model.layers), "layers")
    stages = ledger.count("parallel.pipeline", float(result.pipeline), "", "assumed")
    for place, value in enumerate(result.stage_layers):
        formula = "equal parts, the rest on the first stages"
        name = f"parallel.stage_layers.{place}"
        ledger.add(name, float(value), "layers", "formula", formula, [layers, stages])
    working = []
    for place, (seconds, total) in enumerate(zip(account.seconds, result.stage_seconds, strict=True)):
        one = ledger.count("a micro-batch", seconds, "s", "assumed")
        formula = "micro-batches x forward and backward pass of one"
        name = f"parallel.stage_seconds.{place}"
        working.append(ledger.add(name, total, "s", "product", formula, [batches, one]))
    for name, formula in (
        ("pace_stage", "the stage that takes longest"),
        ("last_stage", "the stage that is done last"),
    ):
        ledger.add(f"parallel.{name}", float(getattr(result, name)), "", "formula", formula, working)
    bubble = ledger.count("idle time of the pipeline", account.time.bubble, "s", "assumed")
    formula = "idle time / time of the micro-batches on the slowest stage"
    ledger.add("parallel.bubble_share", result.bubble_share, "", "formula", formula, [bubble, *working])
    ports = [ledger.given(f"fabric.{key}") for key in ("ports", "port_bytes_per_second", "latency_seconds")]
    sent = float(result.transfer_bytes)
    formula = "tokens of a micro-batch x features x bytes of an operand"
    crossing = ledger.add("parallel.transfer_bytes", sent, "bytes", "formula", formula, [batches])
    formula = "bytes / (ports x bandwidth) + latency"
    ledger.add(
        "parallel.transfer_seconds", result.transfer_seconds, "s", "formula", formula, [crossing, *ports]
    )
    parameters = ledger.count("parameters of the stage", float(account.done_last.parameters), "parameters")
    formula = "parameters of the stage that is done last x bytes of a gradient"
    name = "parallel.gradient_bytes"
    gradients = ledger.add(name, result.gradient_bytes, "bytes", "formula", formula, [parameters])
    formula = "ring all-reduce, or reduce-scatter with a sharded optimizer"
    operands = [gradients, replicas, *ports]
    ring = ledger.add("parallel.gradient_seconds", result.gradient_seconds, "s", "formula", formula, operands)
    formula = "what the last backward pass does not hide"
    ledger.add("parallel.gradient_exposed", result.gradient_exposed, "s", "formula", formula, [ring])
    context = ledger.count("parallel.context", float(result.context), "", "assumed")
    formula = "what a package sends of a layer for a micro-batch: (packages - 1) x tokens x features x bytes"
    sent = result.exchange_bytes
    keys = ledger.add("parallel.exchange_bytes", sent, "bytes", "formula", formula, [batches, context])
    formula = "bytes of each block / (ports x bandwidth) + latency"
    operands = [keys, context, *ports]
    whole = ledger.add(
        "parallel.exchange_seconds", result.exchange_seconds, "s", "formula", formula, operands
    )
    formula = "what the attention does not hide"
    ledger.add("parallel.exchange_exposed", result.exchange_exposed, "s", "formula", formula, [whole])
    formula = "gradients of all copies of the weights, activations over all boundaries, keys and values"
    operands = [gradients, crossing, replicas, stages, context]
    ledger.add("parallel.fabric_bytes", result.fabric_bytes, "bytes", "formula", formula, operands)
