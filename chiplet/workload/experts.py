"""Mixture of experts: the FFNs of a layer of which each token uses a few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Self

from pydantic import Field, model_validator

from chiplet.machine.base import StrictModel


@dataclass(frozen=True)
class Mixture:
    """The features between the two linears of an FFN with experts.

    Each of ``count`` experts has ``routed`` of them, a token uses ``active`` experts, and all tokens go through
    ``beside`` more.
    """

    count: int
    active: int
    routed: int
    beside: int

    @property
    def used(self) -> int:
        """Features that one token uses."""
        return self.active * self.routed + self.beside

    @property
    def stored(self) -> int:
        """Features that there are weights for."""
        return self.count * self.routed + self.beside


class Experts(StrictModel):
    """The experts of a layer: gated FFNs with ``ffn`` inner features each, of which a token uses ``active``.

    All of a layer's tokens also go through the shared experts, which have ``shared`` inner features in sum.
    """

    count: Annotated[int, Field(ge=1, description="routed experts of a layer")]
    active: Annotated[int, Field(ge=1, description="routed experts that a token uses")]
    ffn: Annotated[int, Field(ge=1, description="inner features of a routed expert")]
    bias: Annotated[bool, Field(description="biases of the linears of each expert")] = False
    shared: Annotated[int, Field(ge=0, description="inner features of all shared experts, 0 without any")] = 0
    shared_gate: Annotated[bool, Field(description="a learned weight for the shared experts' output")] = False
    choice_bias: Annotated[bool, Field(description="a bias for each expert where tokens choose theirs")] = (
        False
    )

    @model_validator(mode="after")
    def _tokens_find_experts(self) -> Self:
        if self.active > self.count:
            raise ValueError(f"a token uses {self.active} experts, but there are {self.count}")
        return self

    def expert_parameters(self, hidden: int) -> int:
        """Parameters of one routed expert: gate, up and down, with ``hidden`` features outside."""
        return 3 * hidden * self.ffn + (2 * self.ffn + hidden if self.bias else 0)

    def parameters(self, hidden: int) -> int:
        """Parameters of a layer's FFN: routed and shared experts, and the linear by which tokens choose theirs."""
        choice = self.count * (hidden + self.choice_bias)
        shared = 3 * hidden * self.shared + (hidden if self.shared_gate else 0)
        return self.count * self.expert_parameters(hidden) + shared + choice

    @property
    def expand(self) -> Mixture:
        """Outputs of the first linear: gate and up, and the scores by which tokens choose experts."""
        choice = self.count + self.shared_gate
        return Mixture(self.count, self.active, 2 * self.ffn, 2 * self.shared + choice)

    @property
    def contract(self) -> Mixture:
        """Inputs of the second linear."""
        return Mixture(self.count, self.active, self.ffn, self.shared)

    def used_weights(self, hidden: int) -> int:
        """Weights of a layer's linears that one token uses."""
        return hidden * (self.expand.used + self.contract.used)

    def weights(self, hidden: int) -> int:
        """Weights of a layer's linears."""
        return hidden * (self.expand.stored + self.contract.stored)

    def idle_parameters(self, hidden: int) -> int:
        """Parameters of a layer that one token does not use: those of the experts that it does not go to."""
        return (self.count - self.active) * self.expert_parameters(hidden)
