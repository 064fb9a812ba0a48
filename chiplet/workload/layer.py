"""One layer of a language model: its attention and its FFN, in sizes, parameters and work."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from chiplet.machine.base import StrictModel
from chiplet.vectorized.elementwise import Number, rounded_up
from chiplet.workload.experts import Experts
from chiplet.workload.latent import LatentAttention
from chiplet.workload.seen_keys import seen_keys


class Layer(StrictModel):
    """A layer: norm and attention, norm and FFN, each added to the residual stream.

    Of a model whose layers differ (:class:`chiplet.workload.llm.Llm`), those with a ``window`` or with ``experts`` are
    meant where a value depends on it.
    """

    hidden: Annotated[int, Field(ge=1, description="features h of the residual stream")]
    heads: Annotated[int, Field(ge=1, description="query heads")]
    kv_heads: Annotated[
        int, Field(ge=1, description="key and value heads; fewer than heads: grouped-query attention")
    ]
    head_dim: Annotated[int, Field(ge=1, description="features of a head's queries and keys")]
    ffn: Annotated[int, Field(ge=1, description="inner features of the FFN, where a layer has no experts")]
    gated: Annotated[bool, Field(description="FFN with a gate: act(X W_gate) * (X W_up), then W_down")]
    norm: Literal["rmsnorm", "layernorm"]
    norms: Annotated[
        Literal[1, 2, 4],
        Field(description="of a layer: attention and FFN share one, or have one or two each"),
    ] = 2
    norms_after: Annotated[bool, Field(description="a norm follows attention and FFN")] = False
    qk_norm: Annotated[
        Literal["none", "heads", "features", "unweighted"],
        Field(
            description="norm of queries and keys: of each head, of all features, of each head without gains"
        ),
    ] = "none"
    qkv_bias: bool = False
    output_bias: Annotated[bool, Field(description="bias of the attention's output linear")] = False
    ffn_bias: Annotated[bool, Field(description="biases of the FFN's linears")] = False
    sinks: Annotated[bool, Field(description="a learned score for each head that takes no value")] = False
    rotary: Annotated[int | None, Field(ge=0, description="rotary features of a head, by default all")] = None
    window: Annotated[int | None, Field(ge=1, description="tokens that limited layers attend to")] = None
    experts: Experts | None = None
    latent: LatentAttention | None = None

    @property
    def value_dim(self) -> int:
        """Features of a head's values: those of its queries and keys, unless attention is latent."""
        return self.head_dim if self.latent is None else self.latent.value_dim

    @property
    def rotary_features(self) -> int:
        """Features of each query and key head that have rotary positions."""
        return self.head_dim if self.rotary is None else self.rotary

    @property
    def query_features(self) -> int:
        """Features of Q: heads times head_dim."""
        return self.heads * self.head_dim

    @property
    def output_features(self) -> int:
        """Features of the attention's output, before its last linear: heads times value_dim."""
        return self.heads * self.value_dim

    def qkv_features(self, kv_heads: int | None = None) -> int:
        """Features of Q, K and V together, with ``kv_heads`` key/value heads instead of the model's if given. Rotary
        features that the keys of all heads share count once.
        """
        if self.latent is not None:
            return self.query_features + self.latent.key_value_features(self.heads) + self.latent.rotary_dim
        return self.query_features + 2 * (self.kv_heads if kv_heads is None else kv_heads) * self.head_dim

    @property
    def latent_features(self) -> int:
        """Latent features that queries, keys and values are made of; 0 without latent attention."""
        return 0 if self.latent is None else self.latent.query_rank + self.latent.value_rank

    @property
    def ffn_in_features(self) -> int:
        """Output features of the FFN's first linear for a token: gate and up together when gated, and with experts
        their scores.
        """
        return self.ffn * (2 if self.gated else 1) if self.experts is None else self.experts.expand.used

    @property
    def inner_features(self) -> int:
        """Input features of the FFN's second linear for a token."""
        return self.ffn if self.experts is None else self.experts.contract.used

    @property
    def norm_sums(self) -> int:
        """Feature sums that a norm needs for each token: of squares, and for LayerNorm of the values too."""
        return 1 if self.norm == "rmsnorm" else 2

    @property
    def attention_weights(self) -> int:
        """Weights of the attention's linears: W_Q, W_K, W_V and W_O, or those of latent attention."""
        if self.latent is not None:
            return self.latent.weights(self.hidden, self.heads)
        return self.hidden * (self.qkv_features() + self.query_features)

    @property
    def ffn_weights(self) -> int:
        """Weights of the FFN's matrices, those of all experts included."""
        if self.experts is not None:
            return self.experts.weights(self.hidden)
        return self.hidden * self.ffn * (3 if self.gated else 2)

    @property
    def used_ffn_weights(self) -> int:
        """Of :attr:`ffn_weights`, those that one token uses."""
        return self.hidden * (self.ffn_in_features + self.inner_features)

    @property
    def attention_parameters(self) -> int:
        """All parameters of the attention: linears, biases, norms of queries and keys, sinks."""
        if self.latent is not None:
            return self.latent.parameters(self.hidden, self.heads)
        gains = {
            "heads": 2 * self.head_dim,
            "features": (self.heads + self.kv_heads) * self.head_dim,
        }.get(self.qk_norm, 0)
        return self.attention_weights + self.attention_biases + gains + (self.heads if self.sinks else 0)

    @property
    def attention_biases(self) -> int:
        """Parameters that are added to outputs of the attention's linears."""
        if self.latent is not None:
            return self.latent.biases(self.hidden)
        return self.qkv_features() * self.qkv_bias + self.hidden * self.output_bias

    @property
    def ffn_parameters(self) -> int:
        """All parameters of the FFN, with its experts."""
        if self.experts is not None:
            return self.experts.parameters(self.hidden)
        return self.ffn_weights + self.ffn_biases

    @property
    def ffn_biases(self) -> int:
        """Parameters that are added to outputs of the FFN's linears, to scores of experts and to shared outputs."""
        if self.experts is not None:
            return self.experts.parameters(self.hidden) - self.experts.weights(self.hidden)
        return self.ffn * (2 if self.gated else 1) + self.hidden if self.ffn_bias else 0

    @property
    def norm_parameters(self) -> int:
        """Parameters of one norm of the residual stream: gains, and for LayerNorm biases."""
        return self.hidden * self.norm_sums

    @property
    def layer_parameters(self) -> int:
        """All parameters of the layer: attention, FFN and norms."""
        return self.attention_parameters + self.ffn_parameters + self.norms * self.norm_parameters

    def attention_reach(self, length: Number, strip: Number | None = None) -> Number:
        """Tokens that each query of a sequence of ``length`` is multiplied with: all of them, or those of the window;
        the mean of all queries, rounded up.

        Masks save nothing, unless ``strip`` is given: then what the causal mask hides is skipped, for so many queries
        at a time.
        """
        return rounded_up(seen_keys(length, length if self.window is None else self.window, strip))

    def attention_flops(self, tokens: int, sequence_length: int, *, masked: bool = True) -> int:
        """Floating-point operations of the attention forward: its linears, scores and values, ``masked`` ones too or
        not.
        """
        reach = self.attention_reach(sequence_length, None if masked else 1)
        products: int = (
            2 * tokens * (self.attention_weights + reach * self.heads * (self.head_dim + self.value_dim))
        )
        return products

    def ffn_flops(self, tokens: int) -> int:
        """Floating-point operations of the FFN forward, with the experts that a token uses."""
        return 2 * tokens * self.used_ffn_weights

    def layer_forward_flops(self, tokens: int, sequence_length: int, *, masked: bool = True) -> int:
        """Floating-point operations of the layer forward; arguments as for :meth:`attention_flops`."""
        return self.attention_flops(tokens, sequence_length, masked=masked) + self.ffn_flops(tokens)

    def saved_features(self, sequence_length: int) -> dict[str, int]:
        """Elements of each token that the backward pass of the layer needs, by where they come from.

        Keys: ``inputs`` (of the attention and the FFN block), ``attention`` (latent features, Q, K, V and the
        attention's output), ``probabilities`` (of the softmax), ``ffn`` (before and after the activation). A norm that
        follows a block adds its input to the block's.
        """
        after = self.hidden if self.norms_after else 0
        return {
            "inputs": 2 * self.hidden,
            "attention": self.latent_features + self.qkv_features() + self.output_features + after,
            "probabilities": self.heads * self.attention_reach(sequence_length),
            "ffn": self.ffn_in_features + self.inner_features + after,
        }
