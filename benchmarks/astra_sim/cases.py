"""The layers that both are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from chiplet.machine.config import load_system
from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import Accounted, account
from chiplet.workload.llm import Llm

__all__ = ["CASES", "ODD", "QUICK", "Case"]


@dataclass(frozen=True)
class Case:
    """One layer of a model on the preset package, by one method on one mesh."""

    model: Llm | str
    method: str
    mesh: tuple[int, int]
    token_tiles: bool
    switches: Mapping[str, Any] = field(default_factory=dict)
    sequence_length: int | None = None

    def account(self) -> Accounted:
        """The projection. Errors as :func:`chiplet.projection.project.account`."""
        return account(
            StepRequest(
                self.model,
                load_system(None, [], preset="package"),
                mesh=self.mesh,
                method=self.method,
                switches=self.switches,
                sequence_length=self.sequence_length,
            )
        )


ODD = Llm(
    name="odd sizes",
    layers=1,
    hidden=1001,
    heads=13,
    kv_heads=1,
    head_dim=77,
    ffn=2731,
    gated=True,
    vocab=101,
    norm="rmsnorm",
    max_positions=997,
)
"""A model whose sizes no mesh divides."""

QUICK = tuple(Case("tinyllama-1.1b", method, (2, 2), tiles) for method in METHODS for tiles in (False, True))

_SWITCHES: tuple[tuple[str, Mapping[str, Any]], ...] = (
    ("hecaton", {"collective": "chain"}),
    ("hecaton", {"overlap": False}),
    ("hecaton", {"recompute": "full"}),
    ("flat-ring", {"direction": "one"}),
    ("flat-ring", {"gather_again": True}),
    ("torus-ring", {"dimensions": "one"}),
    ("optimus", {"broadcast": "pipelined"}),
)

CASES = (
    *(
        Case(model, method, mesh, tiles)
        for model, mesh, method, tiles in product(
            ("tinyllama-1.1b", "llama2-7b"),
            ((4, 4), (2, 8), (3, 5), (1, 7), (8, 8)),
            METHODS,
            (False, True),
        )
    ),
    *(Case("tinyllama-1.1b", method, (4, 4), True, switches) for method, switches in _SWITCHES),
    *(Case(ODD, method, mesh, True) for method, mesh in product(METHODS, ((3, 5), (1, 17)))),
    # Long enough for attention in blocks of keys.
    *(Case("llama2-7b", method, (4, 4), True, {"recompute": "selective"}, 32768) for method in METHODS),
)
