"""Training of a decoder-only Transformer in float64 on one device, from formulas, with the backward pass by hand.

It shares nothing with the graph or with the golden model: it is what both are held against.

Each layer: x += O(attention(norm(x))), x += down(silu(gate(norm(x))) * up(norm(x))), with RMSNorm
(arXiv 1910.07467), rotary positions (arXiv 2104.09864), grouped-query attention (arXiv 2305.13245) and gated SiLU
(arXiv 2002.05202); mean cross-entropy; SGD, or Adam (arXiv 1412.6980).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Named", "ReferenceModel", "adam", "sgd"]

Floats = NDArray[np.float64]
Named = dict[str, Floats]
"""Arrays by name: ``embedding``, ``head``, ``final_norm``, and ``{layer}.{norm_1|q|k|v|o|norm_2|gate|up|down}``."""


@dataclass(frozen=True, kw_only=True)
class ReferenceModel:
    """A model without state. Without a ``head`` among its weights the head is the embedding."""

    heads: int
    kv_heads: int
    head_dim: int
    layers: int
    epsilon: float = 1e-5
    rope_theta: float = 10000.0

    def loss(self, weights: Named, tokens: NDArray[Any], labels: NDArray[Any]) -> float:
        """Mean cross-entropy of (sequences, length) ``labels``."""
        return self.gradients(weights, tokens, labels)[0]

    def gradients(self, weights: Named, tokens: NDArray[Any], labels: NDArray[Any]) -> tuple[float, Named]:
        """Loss, and the gradient of each weight."""
        x = weights["embedding"][tokens]
        saved: list[Any] = []
        for layer in range(self.layers):
            w = {name: weights[f"{layer}.{name}"] for name in _LAYER}
            branch, attention = self._attention(x, w)
            x = x + branch
            branch, ffn = _ffn(x, w, self.epsilon)
            x = x + branch
            saved.append((w, attention, ffn))
        n, norm = _norm(x, weights["final_norm"], self.epsilon)
        head = weights["head"] if "head" in weights else weights["embedding"].T
        logits = n @ head
        largest = logits.max(axis=-1, keepdims=True)
        exponentials = np.exp(logits - largest)
        total = exponentials.sum(axis=-1, keepdims=True)
        picked = np.take_along_axis(logits, labels[..., None], axis=-1)
        loss = float((np.log(total) + largest - picked).mean())

        dlogits = exponentials / total
        np.put_along_axis(
            dlogits, labels[..., None], np.take_along_axis(dlogits, labels[..., None], -1) - 1, axis=-1
        )
        dlogits /= labels.size
        result = {name: np.zeros_like(value) for name, value in weights.items()}
        dhead = _outer(n, dlogits)
        if "head" in weights:
            result["head"] += dhead
        else:
            result["embedding"] += dhead.T
        dx, result["final_norm"] = _norm_backward(dlogits @ head.T, norm)
        for layer in reversed(range(self.layers)):
            w, attention, ffn = saved[layer]
            branch, of_layer = _ffn_backward(dx, w, ffn)
            dx = dx + branch
            branch, more = self._attention_backward(dx, w, attention)
            dx = dx + branch
            result |= {f"{layer}.{name}": value for name, value in {**of_layer, **more}.items()}
        np.add.at(result["embedding"], tokens, dx)
        return loss, result

    def _turn(self, x: Floats, *, back: bool = False) -> Floats:
        """(sequences, heads, length, head_dim) with both halves turned by the angles of their positions."""
        half = self.head_dim // 2
        angles = np.outer(np.arange(x.shape[2]), self.rope_theta ** (-np.arange(half) / half))
        turn = np.exp((-1j if back else 1j) * angles)
        z = (x[..., :half] + 1j * x[..., half:]) * turn
        return np.concatenate([z.real, z.imag], axis=-1)

    def _split(self, x: Floats, heads: int) -> Floats:
        split: Floats = x.reshape(*x.shape[:2], heads, self.head_dim).transpose(0, 2, 1, 3)
        return split

    @staticmethod
    def _join(x: Floats) -> Floats:
        return x.transpose(0, 2, 1, 3).reshape(x.shape[0], x.shape[2], -1)

    def _attention(self, x: Floats, w: Named) -> tuple[Floats, Any]:
        n, norm = _norm(x, w["norm_1"], self.epsilon)
        group = self.heads // self.kv_heads
        q = self._turn(self._split(n @ w["q"], self.heads))
        k = np.repeat(self._turn(self._split(n @ w["k"], self.kv_heads)), group, axis=1)
        v = np.repeat(self._split(n @ w["v"], self.kv_heads), group, axis=1)
        scores = q @ k.swapaxes(-1, -2) / np.sqrt(self.head_dim)
        scores = np.where(np.tri(x.shape[1], dtype=bool), scores, -np.inf)
        p = np.exp(scores - scores.max(axis=-1, keepdims=True))
        p /= p.sum(axis=-1, keepdims=True)
        mixed = self._join(p @ v)
        return mixed @ w["o"], (n, norm, q, k, v, p, mixed)

    def _attention_backward(self, dy: Floats, w: Named, saved: Any) -> tuple[Floats, Named]:
        n, norm, q, k, v, p, mixed = saved
        group = self.heads // self.kv_heads
        dmixed = self._split(dy @ w["o"].T, self.heads)
        dp = dmixed @ v.swapaxes(-1, -2)
        ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True)) / np.sqrt(self.head_dim)

        def of_group(x: Floats) -> Floats:
            total: Floats = x.reshape(x.shape[0], self.kv_heads, group, *x.shape[2:]).sum(axis=2)
            return total

        dq = self._join(self._turn(ds @ k, back=True))
        dk = self._join(self._turn(of_group(ds.swapaxes(-1, -2) @ q), back=True))
        dv = self._join(of_group(p.swapaxes(-1, -2) @ dmixed))
        dn = dq @ w["q"].T + dk @ w["k"].T + dv @ w["v"].T
        dx, dgain = _norm_backward(dn, norm)
        return dx, {
            "o": _outer(mixed, dy),
            "q": _outer(n, dq),
            "k": _outer(n, dk),
            "v": _outer(n, dv),
            "norm_1": dgain,
        }


_LAYER = ("norm_1", "q", "k", "v", "o", "norm_2", "gate", "up", "down")


def _outer(x: Floats, dy: Floats) -> Floats:
    """X^T dY over all tokens."""
    return x.reshape(-1, x.shape[-1]).T @ dy.reshape(-1, dy.shape[-1])


def _norm(x: Floats, gain: Floats, epsilon: float) -> tuple[Floats, Any]:
    r = 1 / np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon)
    return x * r * gain, (x, r, gain)


def _norm_backward(dy: Floats, saved: Any) -> tuple[Floats, Floats]:
    x, r, gain = saved
    u = dy * gain
    dx = r * u - x * r**3 * (u * x).mean(axis=-1, keepdims=True)
    return dx, (dy * x * r).sum(axis=(0, 1))


def _ffn(x: Floats, w: Named, epsilon: float) -> tuple[Floats, Any]:
    n, norm = _norm(x, w["norm_2"], epsilon)
    gate, up = n @ w["gate"], n @ w["up"]
    s = 1 / (1 + np.exp(-gate))
    inner = gate * s * up
    return inner @ w["down"], (n, norm, gate, up, s, inner)


def _ffn_backward(dy: Floats, w: Named, saved: Any) -> tuple[Floats, Named]:
    n, norm, gate, up, s, inner = saved
    dinner = dy @ w["down"].T
    dgate = dinner * up * s * (1 + gate * (1 - s))
    dup = dinner * gate * s
    dx, dgain = _norm_backward(dgate @ w["gate"].T + dup @ w["up"].T, norm)
    return dx, {"down": _outer(inner, dy), "gate": _outer(n, dgate), "up": _outer(n, dup), "norm_2": dgain}


def sgd(weights: Named, gradients: Named, *, rate: float) -> Named:
    """Weights after a step of SGD."""
    return {name: value - rate * gradients[name] for name, value in weights.items()}


def adam(
    weights: Named,
    gradients: Named,
    moments: tuple[Named, Named],
    *,
    step: int,
    rate: float,
    keep_m: float = 0.9,
    keep_v: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[Named, tuple[Named, Named]]:
    """Weights and moments after a step of Adam; ``step`` counts from 1."""
    m = {name: keep_m * value + (1 - keep_m) * gradients[name] for name, value in moments[0].items()}
    v = {name: keep_v * value + (1 - keep_v) * gradients[name] ** 2 for name, value in moments[1].items()}
    after = {
        name: value
        - rate * (m[name] / (1 - keep_m**step)) / (np.sqrt(v[name] / (1 - keep_v**step)) + epsilon)
        for name, value in weights.items()
    }
    return after, (m, v)
