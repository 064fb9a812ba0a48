"""The stages of a pipeline of packages, each on a track of its own."""

from __future__ import annotations

from chiplet.parallel.stages import ParallelAccount
from chiplet.timeline.spans import STEP, Span


def stage_spans(account: ParallelAccount) -> dict[str, list[Span]]:
    """The spans of each stage by its name: its micro-batches in one piece, and what follows them.

    They are drawn as late as they can be: a stage ends ``early`` before the pipeline does. What is empty before them is
    the stage's bubble, with its transfers; between micro-batches there is a part of it as well, which is not drawn.
    """
    found = {}
    for stage, seconds, early, ending in zip(
        account.stages, account.seconds, account.early, account.endings, strict=True
    ):
        process, end = stage.number + 1, float(account.time.total - early)
        working = float(seconds * account.micro_batches)
        layers = f"{stage.layers} layer{'s' * (stage.layers > 1)}"
        spans = [
            Span(STEP, "bubble and transfers", 0.0, end - working, "bubble", process=process),
            Span(
                STEP,
                f"{account.micro_batches} micro-batches, forward and backward",
                end - working,
                working,
                "work",
                int(account.micro_batches),
                process,
            ),
        ]
        for name, part in (
            ("sum of gradients, exposed", ending.exposed),
            ("sum of the tied embedding's gradients", ending.tied),
            ("optimizer", ending.update),
            ("all-gather of weights", ending.gather),
        ):
            spans.append(Span(STEP, name, end, float(part), "ending", process=process))
            end += float(part)
        found[f"stage {stage.number + 1} of {len(account.stages)}, {layers}"] = [
            span for span in spans if span.seconds > 0
        ]
    return found
