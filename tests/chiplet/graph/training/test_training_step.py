"""The graph of a training step: what it moves, and what it refuses."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chiplet.graph.graph import Graph, Section
from chiplet.graph.operators import Gather, Product, Scatter, VectorRun
from chiplet.graph.received_elements import (
    ReceivedFlits,
    chunk_flits,
    flits_in_step,
    received,
    received_in_step,
)
from chiplet.graph.sharding import DiePlace, KvHeads, TileShape
from chiplet.graph.training.sizes import ModelSizes, StepSizes
from chiplet.graph.training.training_step import training_step
from chiplet.graph.vector_work import VectorWork, work_of
from chiplet.methods.hecaton import Hecaton, HecatonSwitches
from chiplet.workload.data_flow import LOSS, NORM
from chiplet.workload.llm import Llm
from chiplet.workload.operations import Batch
from nop.topology import Mesh

MODEL: dict[str, Any] = {
    "hidden": 16, "heads": 4, "kv_heads": 2, "head_dim": 4, "ffn": 24, "layers": 2, "vocab": 32
}  # fmt: skip
STEP: dict[str, Any] = {"rows": 2, "cols": 4, "sequences": 4, "length": 8}


def sizes_of(**changes: Any) -> StepSizes:
    model = {key: changes.pop(key, value) for key, value in MODEL.items()}
    return StepSizes(model=ModelSizes(**model, tied=changes.pop("tied", False)), **{**STEP, **changes})


def method_of(sizes: StepSizes) -> Hecaton:
    """The method of a projection on the same sizes."""
    model = sizes.model
    llm = Llm(
        name="small", layers=model.layers, hidden=model.hidden, heads=model.heads, kv_heads=model.kv_heads,
        head_dim=model.head_dim, ffn=model.ffn, gated=True, vocab=model.vocab, norm="rmsnorm", max_positions=64,
        tied=model.tied,
    )  # fmt: skip
    switches = HecatonSwitches(collective=sizes.algorithm)
    return Hecaton(llm, Mesh(sizes.rows, sizes.cols), switches, element_bytes=2)


def method_elements(sizes: StepSizes) -> dict[str, float]:
    """Elements that all dies receive in a step by purpose, as the method counts them."""
    model, method = sizes.model, method_of(sizes)
    total: dict[str, float] = defaultdict(float)
    for block in method.blocks():
        times = sizes.rows * sizes.cols * (1 if block.name == "head" else model.layers)
        passes = method.passes(block, Batch(sizes.tokens, sizes.sequences, sizes.length))
        for comm in (comm for one in (*passes.forward, *passes.backward) for comm in one.comms):
            purpose = next((name for name in (NORM, LOSS) if comm.name.startswith(name)), "linear")
            total[purpose] += float(comm.elements) * times
        for purpose, once in (
            ("replicas", method.replica_comms(block)),
            ("gains", method.gain_comms(block)),
        ):
            total[purpose] += sum(float(comm.elements) for comm in once) * times
        assert method.once_comms(block) == (*method.replica_comms(block), *method.gain_comms(block))
    rows = method.embedding_comms(sizes.tokens)
    total["embedding"] = sum(float(comm.elements) for comm in rows) * sizes.rows * sizes.cols
    return total


@pytest.mark.parametrize("algorithm", ["ring", "chain"])
@pytest.mark.parametrize("mesh", [(1, 1), (1, 2), (2, 1), (2, 2), (2, 4), (4, 2)])
def test_a_step_moves_what_the_method_says(mesh: tuple[int, int], algorithm: str) -> None:
    sizes = sizes_of(rows=mesh[0], cols=mesh[1], tiles=1 if mesh[0] == 4 else 2, algorithm=algorithm)
    moved = received_in_step(training_step(sizes), sizes.tile_shapes)
    said = method_elements(sizes)
    of_batch = sizes.rows * sizes.cols * (sizes.rows - 1)  # the loss of all tokens, one value a die
    for purpose, elements in (
        ("linear", moved["linear"].elements),
        (NORM, moved["norm sums"].elements),
        (LOSS, moved["loss"].elements - of_batch),
        ("replicas", moved["replicas"].elements),
        ("gains", moved["gains"].elements),
        ("embedding", moved["embedding"].elements),
    ):
        assert elements == pytest.approx(said[purpose], rel=1e-12), purpose
    assert sum(part.padding for part in moved.values()) == 0


def graph_work(graph: Graph, sizes: StepSizes, repeat: str) -> VectorWork:
    """What the vector programs of the graph demand of all dies, in the sections that run ``repeat``.

    Without what has no part in a projection: values of rows, one-hot rows, and updates of gains, which columns of dies
    have copies of.
    """
    total = VectorWork()
    for section in graph.sections:
        if (section.repeat == "tile") != (repeat == "tile"):
            continue
        layers = 1 if section.layers == "once" else graph.layers
        for run in (o for o in section.operators if isinstance(o, VectorRun)):
            if run.name == "embedding.pick" or run.name.endswith("gain.update"):
                continue
            program = run.program
            names = [
                name
                for name in (*program.outputs, *program.inputs)
                if name in run.bind and program.tensors[name].spread == "matrix"
            ]
            for name in names[:1]:
                # Half of a head is half of the columns, unless these are of halves in the program.
                operand = run.bind[name]
                share = 0.5 if operand.half and program.tensors[name].cols != "half" else 1.0
                for row, col in product(range(sizes.rows), range(sizes.cols)):
                    die = DiePlace(
                        sizes.rows, sizes.cols, row, col, "chain", TileShape(sizes.sequences, sizes.length)
                    )
                    rows, cols = graph.tensors[operand.tensor].shape(die)
                    total += work_of(program) * (rows * cols * layers * share)
    return total


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("mesh", [(1, 1), (1, 2), (2, 2), (4, 2)])
def test_a_step_passes_what_the_method_says(mesh: tuple[int, int], tied: bool, optimizer: Any) -> None:
    """Element by element: passes with and without functions, operations, and bytes of the scratchpad."""
    sizes = sizes_of(rows=mesh[0], cols=mesh[1], optimizer=optimizer, tied=tied)
    graph, method = training_step(sizes), method_of(sizes)
    said = VectorWork()
    for block in method.blocks():
        passes = method.passes(block, Batch(sizes.tokens, sizes.sequences, sizes.length))
        for operation in (*passes.forward, *passes.backward):
            for step in operation.vectors:
                assert step.elements == step.total / (sizes.rows * sizes.cols)
                said += step.work * (step.total * block.layers)
    assert said.numbers == pytest.approx(graph_work(graph, sizes, "tile").numbers, rel=1e-12)
    llm = method.model
    gains = (llm.norms * llm.layers + 1) * llm.hidden
    update = method.update_work(optimizer, llm.parameters - gains)
    assert update.numbers == pytest.approx(graph_work(graph, sizes, "step").numbers, rel=1e-12)


@settings(max_examples=15, deadline=None)
@given(
    rows=st.integers(1, 4), cols=st.integers(1, 4), kv=st.sampled_from([1, 2, 3]), group=st.integers(1, 3),
    sequences=st.integers(2, 5), length=st.integers(1, 5), tiles=st.integers(1, 2), spare=st.integers(0, 5),
    algorithm=st.sampled_from(["ring", "chain"]), tied=st.booleans(),
)  # fmt: skip
def test_every_element_has_a_formula(
    rows: int, cols: int, kv: int, group: int, sequences: int, length: int, tiles: int, spare: int,
    algorithm: str, tied: bool,
) -> None:  # fmt: skip
    heads, d = max(kv * group, -(-cols // kv) * kv), 4
    sizes = sizes_of(
        rows=rows, cols=cols, heads=heads, kv_heads=kv, sequences=sequences, length=length, tiles=tiles,
        hidden=rows + spare, ffn=cols + 2 * spare, vocab=cols + 3 * spare, algorithm=algorithm, tied=tied,
    )  # fmt: skip
    graph = training_step(sizes)
    moved = received_in_step(graph, sizes.tile_shapes)
    m, h, layers = sizes.tokens, sizes.model.hidden, sizes.model.layers
    die = DiePlace(rows, cols, 0, 0, sizes.algorithm, sizes.tile_shapes[0])
    keys = graph.tensors["attention.k.weight"].cols
    assert isinstance(keys, KvHeads)
    held = sum(len(keys.units(die._replace(col=col))) for col in range(cols)) * d

    def linear(h_in: int, h_out: int, gather: int, scatter: int) -> int:
        """X gathered forward and backward, and dX scattered; Y scattered and dY gathered."""
        return m * (3 * h_in * (gather - 1) + 2 * h_out * (scatter - 1))

    def contract(h_in: int, h_out: int) -> int:
        return linear(h_in, h_out, rows, cols)

    layer = linear(h, heads * d + 2 * held, cols, rows) + linear(h, 2 * sizes.model.ffn, cols, rows)
    layer += contract(heads * d, h) + contract(sizes.model.ffn, h)
    assert moved["linear"].elements == layers * layer + linear(h, sizes.model.vocab, cols, rows)
    norms = 2 * layers + 1
    assert moved["norm sums"].elements == norms * 2 * m * (rows * (cols - 1) + cols * (rows - 1))
    assert moved["gains"].elements == norms * h * cols * (cols - 1)
    assert moved["loss"].elements == 3 * m * cols * (cols - 1) + rows * cols * (rows - 1)
    assert moved["embedding"].elements == 2 * m * h * (cols - 1)
    shared = sum(len(keys.owners(head, die)) - 1 for head in range(kv))
    assert moved["replicas"].elements == layers * 2 * 2 * h * d * shared


def test_padding_is_what_equal_chunks_add() -> None:
    sizes = sizes_of(rows=3, cols=2, hidden=7, sequences=4, length=3, layers=1)
    moved = received_in_step(training_step(sizes), sizes.tile_shapes)
    # 4 sequences on 3 rows are chunks of 2: 18 tokens for 12. On 2 columns 12 tokens fit.
    scattered = 2 * (MODEL["ffn"] * 2 + 16 + 8 + 8 + MODEL["vocab"])  # outputs of type A, twice
    gathered = 3 * (MODEL["ffn"] + 16)  # inputs of type B, three times
    assert moved["linear"].padding == (scattered + gathered) * (18 - 12) * 2
    assert moved["embedding"].padding == 0


def test_flits_of_a_chunk_fill_words_piece_by_piece() -> None:
    graph = training_step(sizes_of(hidden=15, head_dim=6))
    die = DiePlace(2, 4, 0, 0, "chain", TileShape(4, 8))

    def flits(name: str, flit_bits: int = 64) -> int:
        return chunk_flits(graph.tensors[name], die, word_bytes=16, flit_bits=flit_bits)

    # 8 rows of 7 bf16 in a word of 16 bytes each, and 8 sums of squares in two; two flits a word.
    assert (flits("attention.x"), flits("attention.squares")) == (2 * 8, 2 * 2)
    # 16 rows of two halves of 3 sums, a word each; of 6 sums of values, two words; 16 sums in four words.
    assert (flits("attention.q.sums"), flits("attention.v.sums")) == (2 * 16 * 2, 2 * 16 * 2)
    assert flits("attention.squares_total") == 2 * 4
    # Halves of 3 bf16 have a word each, 6 bf16 of values have one.
    assert (flits("attention.dk"), flits("attention.dv")) == (2 * 16 * 2, 2 * 16)
    # One row of 16 values for each column of dies.
    assert flits("head.largest") == 2 * 4
    # Two words a flit; the last one is filled in part.
    assert (flits("attention.squares", 256), flits("loss.sum", 256)) == (1, 1)


@pytest.mark.parametrize(("word_bytes", "flit_bits"), [(4, 32), (16, 64)])
def test_flits_of_a_step_are_elements_in_whole_words(word_bytes: int, flit_bits: int) -> None:
    """Columns of whole words: a flit has as many elements as fit it. Values of rows are words of their own."""
    sizes = sizes_of(hidden=16, head_dim=16, ffn=32, vocab=32, sequences=4, length=8, tiles=2)
    graph = training_step(sizes)
    elements = received_in_step(graph, sizes.tile_shapes)
    flits = flits_in_step(graph, sizes.tile_shapes, word_bytes=word_bytes, flit_bits=flit_bits)
    assert flits.keys() == elements.keys()
    for purpose in ("norm sums", "replicas", "gains"):
        assert flits[purpose].flits == elements[purpose].elements * 32 // flit_bits
    # X is gathered twice and dY once as bf16; Y and dX are scattered as fp32.
    m, columns, rows = sizes.tokens, 4, 2
    bf16, fp32 = 16, 32
    linears = 0
    for h_in, h_out, gather, scatter in (
        *[(16, 4 * 16 + 2 * 4 * 16, columns, rows), (16, 2 * 32, columns, rows)] * sizes.model.layers,
        *[(4 * 16, 16, rows, columns), (32, 16, rows, columns)] * sizes.model.layers,
        (16, 32, columns, rows),
    ):
        linears += m * h_in * (gather - 1) * (2 * bf16 + fp32) + m * h_out * (scatter - 1) * (fp32 + bf16)
    assert flits["linear"].flits * flit_bits == linears
    assert all(part.padding == 0 for part in flits.values())


def test_flits_that_fill_up_chunks_are_told_apart() -> None:
    sizes = sizes_of(rows=3, cols=1, hidden=3, sequences=4, length=3, layers=1)
    graph = training_step(sizes)
    flits = flits_in_step(graph, sizes.tile_shapes, word_bytes=16, flit_bits=128)
    # Words of a row: sums of q, k, v, gate, up and logits, dX of both linears of type B; dq, dk, dv, dgate, dup, du,
    # and mixed and inner twice. Halves of heads are 2 elements, heads 4.
    scattered = 8 + 4 + 2 + 6 + 6 + 8 + 4 + 6
    gathered = 8 + 4 + 2 + 3 + 3 + 4 + 2 * 4 + 2 * 3
    # 4 sequences on 3 rows are chunks of 6, 6 and 0 tokens, each of which two dies receive.
    assert flits["linear"] == ReceivedFlits(2 * 12 * (scattered + gathered), 2 * 6 * (scattered + gathered))
    # 12 losses are gathered along rows of one die: nothing moves; their sums along the column are one word each.
    assert flits["loss"] == ReceivedFlits(3 * 2, 0)
    # Sums of squares: chunks of 6, 6 and 0 values, two words or none, to two dies each; forward and backward.
    assert flits["norm sums"] == ReceivedFlits(3 * 2 * 2 * 2 * 2, 3 * 2 * 2 * 2)


@pytest.mark.parametrize("algorithm", ["ring", "chain"])
def test_flits_of_replicas_are_those_of_each_head(algorithm: str) -> None:
    sizes = sizes_of(rows=1, cols=3, heads=3, kv_heads=1, head_dim=6, hidden=5, layers=1, algorithm=algorithm)
    graph = training_step(sizes)
    flits = flits_in_step(graph, sizes.tile_shapes, word_bytes=16, flit_bits=128)
    # 5 rows are chunks of 2, 2 and 1, which cross a link 4 times each; rows of k are two halves of a word, those of v
    # one piece of two words.
    assert flits["replicas"] == ReceivedFlits(4 * 5 * (2 + 2), 4 * (2 + 2))


def test_a_graph_knows_what_its_products_leave() -> None:
    graph = training_step(sizes_of())
    products = [o for section in graph.sections for o in section.operators if isinstance(o, Product)]
    assert {product.form for product in products} == {"nn", "nt", "tn"}
    # Every reduce-scatter has an all-gather's worth of elements less or more, never none, on a mesh of both.
    for section in graph.sections:
        for operator in section.operators:
            if isinstance(operator, (Gather, Scatter)):
                assert received(operator, graph, TileShape(4, 8))


@pytest.mark.parametrize(
    ("drop", "message"),
    [
        ("attention.gather_x", "attention.q.product reads attention.x_all: not loaded or written before"),
        ("ffn.down.scatter_y", "ffn.add reads ffn.down.sums: not loaded or written before"),
        ("load_tokens", "embedding.pick reads tokens: not loaded or written before"),
    ],
)
def test_a_missing_operator_is_named(drop: str, message: str) -> None:
    graph = training_step(sizes_of())
    sections = tuple(
        Section(s.name, s.repeat, s.layers, tuple(o for o in s.operators if o.name != drop))
        for s in graph.sections
    )
    with pytest.raises(ValueError, match=message):
        Graph(graph.rows, graph.cols, graph.algorithm, graph.layers, graph.tensors, sections)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "int8"}, r"die\.dtype = int8: must be bf16"),
        ({"heads": 2, "kv_heads": 2}, "heads = 2 cannot be split over 4 columns of dies: must be at least 4"),
        ({"heads": 5}, "heads = 5: must be a multiple of kv_heads = 2"),
        ({"head_dim": 3}, "head_dim = 3: must be even"),
        ({"hidden": 1}, "hidden = 1 cannot be split over 2 rows of dies"),
        ({"vocab": 3}, "vocab = 3 cannot be split over 4 columns"),
        ({"ffn": 0}, "ffn = 0: must be an integer of at least 1"),
        ({"tiles": 5}, "tiles = 5: must be at most the 4 sequences"),
        ({"vocab": 128256}, "must be at most 32767, the largest offset of a vector pass"),
        ({"optimizer": "lion"}, "optimizer = 'lion': must be one of sgd, adam"),
        ({"algorithm": "tree"}, "algorithm = 'tree': must be one of ring, chain"),
        ({"rows": True}, "rows = True: must be an integer"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sizes_of(**changes)
