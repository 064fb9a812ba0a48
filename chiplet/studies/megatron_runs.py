"""Measured training steps of GPT models with Megatron-LM, which belong to the machine that they were measured on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from chiplet.machine.base import StrictModel
from chiplet.studies.preset_files import load_preset, preset_names

Count = Annotated[int, Field(ge=1)]


class MegatronRun(StrictModel):
    """One measured training step: tensor parallelism in a node, a pipeline across nodes, and replicas of that.

    ``tensor`` GPUs share a layer, ``pipeline`` stages the layers, in ``interleave`` chunks each. ``recompute`` is full,
    selective (the attention core, together with sequence parallelism), or fused: the same with an attention in one
    kernel, which keeps no scores in memory. ``operands`` are those of the linears. Batches are in sequences.
    """

    name: str
    heads: Count
    hidden: Count
    layers: Count
    vocabulary: Count
    sequence_length: Count
    gpus: Count
    tensor: Count
    pipeline: Count
    interleave: Count
    micro_batch: Count
    global_batch: Count
    recompute: Literal["full", "selective", "fused"]
    operands: Literal["16-bit", "8-bit"] = "16-bit"
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    source: str = ""

    @model_validator(mode="after")
    def _divides(self) -> Self:
        for whole, part, name in (
            (self.hidden, self.heads, "hidden = {} is no multiple of heads = {}"),
            (self.gpus, self.tensor * self.pipeline, "gpus = {} is no multiple of tensor x pipeline = {}"),
            (
                self.layers,
                self.pipeline * self.interleave,
                "layers = {} is no multiple of pipeline x interleave = {}",
            ),
            (
                self.global_batch,
                self.replicas * self.micro_batch,
                "global_batch = {} is no multiple of replicas x micro_batch = {}",
            ),
        ):
            if whole % part:
                raise ValueError(f"run {self.name[:40]}: {name.format(whole, part)}")
        return self

    @property
    def replicas(self) -> int:
        """Copies of the model that share the global batch."""
        return max(1, self.gpus // (self.tensor * self.pipeline))

    @property
    def micro_batches(self) -> int:
        """Micro-batches of a replica in a step."""
        return self.global_batch // (self.replicas * self.micro_batch)

    @property
    def label(self) -> str:
        """Name and recomputation: what a machine calls the run that it is fitted to."""
        return f"{self.name} {self.recompute}"


class MegatronRuns(StrictModel):
    """Runs that were measured on one machine, as in their file. ``source`` holds for runs without one of their own."""

    machine: str
    source: str
    runs: Annotated[list[MegatronRun], Field(min_length=1)]

    @model_validator(mode="after")
    def _differ(self) -> Self:
        labels = [run.label for run in self.runs]
        for label in labels:
            if labels.count(label) > 1:
                raise ValueError(
                    f"two runs are called {label[:60]!r}: name and recompute must tell them apart"
                )
        return self


def load_runs(name: str | Path) -> MegatronRuns:
    """The runs of the preset machine called ``name``, or those of the TOML file at that path, each with its source.

    Raises ``ValueError``, in one line, for a file that is missing, is not TOML, or has an unknown or wrong key.
    """
    read = load_preset("runs", name, MegatronRuns)
    runs = [run.model_copy(update={"source": run.source or read.source}) for run in read.runs]
    return read.model_copy(update={"runs": runs})


def runs_of(machine: str, chosen: str | None) -> MegatronRuns:
    """The runs called ``chosen``, or those of the preset ``machine``.

    Raises ``ValueError``, in one line, if ``machine`` is a file: no run was measured on it until one says so.
    """
    if chosen is not None:
        return load_runs(chosen)
    known = preset_names("runs")
    if machine not in known:
        raise ValueError(
            f"machine {machine}: no measured runs come with it: give them with --runs FILE.toml "
            f"(only {', '.join(known)} have their own)"
        )
    return load_runs(machine)
