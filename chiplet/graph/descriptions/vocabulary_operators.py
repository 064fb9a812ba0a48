"""Both ends of the model, whose vocabulary is split over the columns of dies: embedding and loss.

The rows of tokens are a product of one-hot rows, which is exact: the dies of a row add up what theirs give. Behind the
head the logits of a token are split over the columns: every die gets three values of each, the largest logit, the sum
of exponentials, and the logit of the label.
"""

from __future__ import annotations

from chiplet.graph.descriptions.description import (
    ONE_VALUE,
    TOKENS,
    Description,
    NamedDim,
    NamedTensor,
    vector_run,
)
from chiplet.graph.descriptions.shared_programs import (
    CROSS_ENTROPY_INPUT,
    ONE_HOT,
    SCALE,
    norm_share,
    product_sums,
    sums_of,
)
from chiplet.graph.operators import Carried, Gather, Product, Scatter
from chiplet.graph.vector_programs import vector_program

__all__ = ["EMBEDDING_BACKWARD", "EMBEDDING_FORWARD", "LOSS", "LOSS_VALUES"]

_ALL, _ROWS, _OF_ROW = NamedDim(TOKENS), NamedDim(TOKENS, "column"), NamedDim(TOKENS, "row")
_VOCABULARY, _FEATURES = NamedDim("vocabulary", "row"), NamedDim("features", "column")

_EMBEDDING = {
    "tokens": NamedTensor(_ALL, ONE_VALUE, "int32"),
    "one_hot": NamedTensor(_ALL, _VOCABULARY),
    "w": NamedTensor(_VOCABULARY, _FEATURES),
    "partial": NamedTensor(_ALL, _FEATURES, "fp32", "row"),
    "residual": NamedTensor(_OF_ROW, _FEATURES, "fp32"),
    "dy": NamedTensor(_OF_ROW, _FEATURES),
    "dy_all": NamedTensor(_ALL, _FEATURES),
    "dw": NamedTensor(_VOCABULARY, _FEATURES, "fp32"),
}

EMBEDDING_FORWARD = Description(
    name="embedding forward",
    tensors=_EMBEDDING,
    operators=(
        vector_run("pick", ONE_HOT, label="tokens", y="one_hot"),
        Product(name="product", form="nn", a="one_hot", b="w", y="partial"),
        Scatter(name="scatter", axis="row", carries=(Carried("partial", "residual", "embedding"),)),
    ),
    given=("tokens", "w"),
    results=("residual", "one_hot"),
)

EMBEDDING_BACKWARD = Description(
    name="embedding backward",
    tensors=_EMBEDDING,
    operators=(
        Gather(name="gather_dy", axis="row", carries=(Carried("dy", "dy_all", "embedding"),)),
        Product(name="product_dw", form="tn", a="one_hot", b="dy_all", y="dw", accumulate="tiles"),
    ),
    given=("one_hot", "dy"),
    results=("dw",),
)

LOSS_VALUES = ("largest", "total", "picked")
"""What every die gets of each die of its row."""

_OF_TOKENS = NamedTensor(_ROWS, ONE_VALUE, "fp32")
_LOGITS = NamedTensor(_ROWS, _VOCABULARY, "fp32")
_SUM = NamedTensor(NamedDim("rows", "column"), ONE_VALUE, "fp32")

LOSS = Description(
    name="loss",
    tensors={
        "label": NamedTensor(_ROWS, ONE_VALUE, "int32"),
        **dict.fromkeys(("sums", "logits", "e"), _LOGITS),
        "du": NamedTensor(_ROWS, _VOCABULARY),
        **dict.fromkeys(LOSS_VALUES, NamedTensor(NamedDim("columns", "row"), _ROWS, "fp32")),
        **{f"{name}_all": NamedTensor(NamedDim("columns"), _ROWS, "fp32") for name in LOSS_VALUES},
        **dict.fromkeys(("scale", "most", "all", "loss"), _OF_TOKENS),
        **dict.fromkeys(("product", "t"), NamedTensor(_ROWS, ONE_VALUE, "fp32", "row")),
        **dict.fromkeys(("sum", "loss_sum"), _SUM),
    },
    operators=(
        vector_run("scale_logits", SCALE, x="sums", scale="scale", y="logits"),
        vector_run(
            "cross_entropy",
            vector_program("cross-entropy"),
            x="logits",
            label="label",
            e="e",
            largest="largest",
            total="total",
            picked="picked",
        ),
        Gather(
            name="gather_loss",
            axis="row",
            carries=tuple(Carried(name, f"{name}_all", "loss") for name in LOSS_VALUES),
        ),
        # Of a line of one die; on others the program has the values of each die of the row.
        vector_run(
            "merge",
            vector_program("cross-entropy-merge"),
            largest_0="largest_all",
            total_0="total_all",
            picked_0="picked_all",
            most="most",
            all="all",
            loss="loss",
            sum="sum",
        ),
        vector_run("add_loss", sums_of(2), x_0="loss_sum", x_1="sum", y="loss_sum"),
        vector_run(
            "cross_entropy_backward",
            CROSS_ENTROPY_INPUT,
            e="e",
            label="label",
            largest="largest",
            most="most",
            all="all",
            scale="scale",
            u="du",
        ),
        vector_run("norm_product", product_sums("bf16", "fp32"), u="du", y="logits", sums="product"),
        vector_run("share", norm_share(1), x_0="product", scale="scale", t="t"),
    ),
    given=("sums", "scale", "label", "loss_sum"),
    results=("loss", "loss_sum", "du", "t"),
)
"""From the sums of the head to the gradient of its outputs, with the scale of the norm in front of it."""
