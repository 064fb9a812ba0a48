"""Multi-head latent attention: queries, keys and values go through a few latent features."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from chiplet.machine.base import StrictModel


class LatentAttention(StrictModel):
    """Widths of multi-head latent attention (DeepSeek-V2, arXiv 2405.04434, section 2.1).

    Queries and keys of a head have ``fixed_dim + rotary_dim`` features, of which all heads share the rotary ones of
    the keys; values have ``value_dim``.
    """

    query_rank: Annotated[int, Field(ge=0, description="latent features of the queries, 0: made directly")]
    value_rank: Annotated[int, Field(ge=1, description="latent features of keys and values")]
    fixed_dim: Annotated[int, Field(ge=1, description="features of a head without rotary positions")]
    rotary_dim: Annotated[int, Field(ge=1, description="features of a head with rotary positions")]
    value_dim: Annotated[int, Field(ge=1, description="features of a head's values")]
    bias: Annotated[bool, Field(description="biases of the linears next to the residual stream")] = False

    def weights(self, hidden: int, heads: int) -> int:
        """Weights of one layer's linears, with ``heads`` heads and ``hidden`` features of the residual stream."""
        queries = heads * (self.fixed_dim + self.rotary_dim)
        first = self.query_rank * (hidden + queries) if self.query_rank else hidden * queries
        second = self.value_rank * self.key_value_features(heads)
        return first + hidden * self.shared_features + second + heads * self.value_dim * hidden

    def parameters(self, hidden: int, heads: int) -> int:
        """Parameters of one layer's attention: weights, biases, and the norms of latent features."""
        return self.weights(hidden, heads) + self.query_rank + self.value_rank + self.biases(hidden)

    def biases(self, hidden: int) -> int:
        """Parameters that are added to outputs of linears."""
        return self.query_rank + self.shared_features + hidden if self.bias else 0

    @property
    def shared_features(self) -> int:
        """Features that keys and values are made of: latent ones, and the rotary ones that all heads share."""
        return self.value_rank + self.rotary_dim

    def key_value_features(self, heads: int) -> int:
        """Features of keys and values that are made of latent ones: each head has its own."""
        return heads * (self.fixed_dim + self.value_dim)
