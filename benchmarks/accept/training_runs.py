"""Training steps on the checks' machine: as a command whose result is read, and as compiled programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.accept.hecaton_commands import hecaton_output
from chiplet.graph.descriptions.shared_programs import Optimizer
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.machine.config import load_system
from cosim.compile.compiled_step import CompiledStep
from cosim.compile.compiler import compile_step
from rtl.processes.temporary import temporary_folder

__all__ = ["MACHINE", "Training"]

MACHINE = Path(__file__).with_name("training.toml")
Words = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Training:
    """A model and a step on a mesh of dies.

    Attributes
    ----------
    model
        The model.
    rows, cols
        Dies.
    length, batch, tiles
        Tokens of a sequence, sequences of a step, and token tiles that it runs in.
    optimizer
        How weights are updated.
    keys
        Keys of the machine that are other than in ``MACHINE``, as ``die.rows=3``.
    """

    model: ModelSizes
    rows: int
    cols: int
    length: int
    batch: int
    tiles: int = 1
    optimizer: Optimizer = "sgd"
    keys: Words = ()

    @property
    def mesh(self) -> str:
        """The dies, as in ``2x3``."""
        return f"{self.rows}x{self.cols}"

    @property
    def sizes(self) -> StepSizes:
        """Sizes of the step."""
        return StepSizes(
            model=self.model,
            rows=self.rows,
            cols=self.cols,
            sequences=self.batch,
            length=self.length,
            tiles=self.tiles,
            optimizer=self.optimizer,
            algorithm="chain",
        )

    def compiled(self) -> CompiledStep:
        """The programs of the step."""
        keys = [f"package.rows={self.rows}", f"package.cols={self.cols}", *self.keys]
        return compile_step(self.sizes, load_system(MACHINE, keys, preset="bench"))

    def run(self, *words: str, sim: str = "cxxrtl") -> dict[str, Any]:
        """The JSON object of ``hecaton cosim train-step`` with these options and ``words``.

        Raises ProbeError if the command fails, as it does if a bit is not the golden one.
        """
        options: Mapping[str, object] = {
            **{
                name: getattr(self.model, name)
                for name in ("hidden", "heads", "kv_heads", "head_dim", "ffn", "layers", "vocab")
            },
            "mesh": self.mesh,
            "sequence": self.length,
            "batch": self.batch,
            "tiles": self.tiles,
            "optimizer": self.optimizer,
            "config": MACHINE,
            "sim": sim,
        }
        given = [
            word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))
        ]
        machine = [word for key in self.keys for word in ("-P", key)]
        with temporary_folder() as folder:
            output = hecaton_output(
                "cosim", "train-step", *given, *machine, *words, "--records", str(folder), "--json"
            )
        result: dict[str, Any] = json.loads(output)
        return result
