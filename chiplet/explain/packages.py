"""The terms of a step on several packages only: pipeline, transfers, sums of gradients."""

from __future__ import annotations

from collections.abc import Sequence

from chiplet.explain.ledger import Ledger, Operand
from chiplet.machine.parallel_specs import ParallelSpec
from chiplet.parallel.stages import ParallelAccount


def add_between(ledger: Ledger, account: ParallelAccount, spec: ParallelSpec) -> list[Operand]:
    """Add what several packages add to the step of the stage that sets the pace; return its parts as operands."""
    links = [ledger.given(f"fabric.{key}") for key in ("ports", "port_bytes_per_second", "latency_seconds")]
    parts = []
    if len(account.stages) > 1:
        parts += _pipeline(ledger, account, spec, links)
    last = account.done_last
    ending = account.endings[last.number]
    if spec.context > 1:
        parts.append(_exchange(ledger, account, spec, links))
    replicas = ledger.count("packages with the same weights", float(spec.copies), "", "assumed")
    parameters = ledger.count("parameters of the stage", float(last.parameters), "parameters")
    if spec.copies > 1:
        passes = "(n - 1)" if spec.shard_optimizer else "2 (n - 1)"
        formula = f"{passes} (bytes / n / bandwidth + latency): reduce-scatter"
        formula += "" if spec.shard_optimizer else " and all-gather"
        operands = [replicas, parameters, *links]
        ring = ledger.add("sum of gradients", ending.gradients, "s", "formula", formula, operands)
        layers = ledger.count("layers of the stage", float(last.layers), "layers")
        formula = (
            "max(sum / layers, sum - last backward pass of all layers but one), or the sum without overlap"
        )
        parts.append(ledger.add("gradients exposed", ending.exposed, "s", "formula", formula, [ring, layers]))
    if ending.tied:
        formula = "all-reduce of the tied embedding between the first and the last stage"
        parts.append(ledger.add("tied embedding", ending.tied, "s", "formula", formula, links))
    if ending.gather:
        formula = "(n - 1) (bytes / n / bandwidth + latency): all-gather of updated weights"
        operands = [replicas, parameters, *links]
        parts.append(ledger.add("updated weights", ending.gather, "s", "formula", formula, operands))
    return parts


def _exchange(
    ledger: Ledger, account: ParallelAccount, spec: ParallelSpec, links: Sequence[Operand]
) -> Operand:
    sent = ledger.count("bytes of keys and values", float(account.exchange.sent), "bytes", "assumed")
    formula = "(packages - 1) (bytes of a block / bandwidth + latency), forward and backward"
    whole = ledger.add("exchange", account.exchange.seconds, "s", "formula", formula, [sent, *links])
    packages = ledger.count("packages of a sequence", float(spec.context), "", "assumed")
    formula = "all of it"
    if spec.exchange == "ring" and spec.overlap:
        formula = "what the attention on a block does not hide of the next: chiplet/parallel/context.py"
    one = ledger.add(
        "exchange exposed a layer", account.exchange.exposed, "s", "formula", formula, [whole, packages]
    )
    layers = ledger.count("layers of the slowest stage", float(account.pace.layers), "layers")
    batches = ledger.count("micro-batches", float(account.micro_batches), "", "assumed")
    value = float(account.exchanged(account.pace.layers))
    formula = "layers x micro-batches x seconds"
    return ledger.add("keys and values exposed", value, "s", "product", formula, [layers, batches, one])


def _pipeline(
    ledger: Ledger, account: ParallelAccount, spec: ParallelSpec, links: Sequence[Operand]
) -> list[Operand]:
    everything = ledger.count("a micro-batch on all stages", sum(account.seconds), "s", "assumed")
    slowest = ledger.count("on the slowest", max(account.seconds), "s", "assumed")
    chunks = ledger.count("chunks a stage", float(spec.interleave), "", "assumed")
    early = account.early[account.done_last.number]
    drained = ledger.count("before the stage that is done last", early, "s", "assumed")
    formula = "(all stages - slowest) / chunks - time after the stage that is done last"
    bubble = ledger.add(
        "pipeline bubble",
        account.time.bubble - early,
        "s",
        "formula",
        formula,
        [everything, slowest, chunks, drained],
    )
    size = ledger.count("bytes of a micro-batch", account.crossing_bytes, "bytes", "assumed")
    formula = "bytes / (ports x bandwidth) + latency"
    crossing = ledger.add("transfer", account.crossing, "s", "formula", formula, [size, *links])
    stages = ledger.count("stages", float(len(account.stages)), "", "assumed")
    batches = ledger.count("micro-batches of the pipeline", float(account.micro_batches), "", "assumed")
    formula = "2 (stages - 1) transfer, and micro-batches x what transfers exceed the slowest stage by"
    formula += "" if spec.overlap else " (without overlap: 2 chunks x transfer)"
    value = account.time.fill + account.time.transfers
    operands = [crossing, stages, batches, chunks, slowest]
    return [bubble, ledger.add("transfers exposed", value, "s", "formula", formula, operands)]
