"""Early returns: only where nothing but a rising edge changes anything."""

from __future__ import annotations

import pytest

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.backends.cxxrtl import MODEL, Cxxrtl
from cosim.backends.rewrite.idle_evaluation import rest_between_edges
from cosim.run.gemm import emit_bench

RETURN = "\tif (!posedge_p_clk)\n\t\treturn converged;\n"

HEAD = """\
bool p_unit::eval(performer *performer) {
\tbool converged = true;
\tbool posedge_p_clk = this->posedge_p_clk();
"""
VALUES = """\
\t// \\unused_bits: 3
\tvalue<4> p_sum;
\tvalue<8> p_pair;
"""
LOGIC = """\
\t// cells $2 $1
\tp_sum = add_uu<4>(p_a, p_b);
\tp_pair.slice<3,0>() = p_sum;
\tp_pair.slice<7>() = p_a.slice<0>().val();
"""
EDGE = """\
\t// cell $3
\tif (posedge_p_clk) {
\t\tp_o.next = (p_rst ? value<4>{0u} : p_sum);
\t}
"""
END = "\treturn converged;\n}\n"
OTHER = "\nbool p_other::eval(performer *performer) {\n\tbool converged = true;\n\treturn converged;\n}\n"


def test_a_unit_of_registers_rests() -> None:
    body = VALUES + LOGIC + EDGE + EDGE
    assert rest_between_edges(HEAD + body + END + OTHER) == HEAD + RETURN + body + END + OTHER


@pytest.mark.parametrize(
    "more",
    [
        pytest.param("\tp_y.next = p_sum;\n", id="output without a register"),
        pytest.param("\tp_y = p_sum;\n", id="member that others read"),
        pytest.param("\tp_y.slice<3,0>() = p_sum;\n", id="part of a member"),
        pytest.param("\tcell_p_inner.p_i = p_sum;\n\tcell_p_inner.eval(performer);\n", id="instance"),
        pytest.param("\tif (negedge_p_clk) {\n\t\tp_y.next = p_sum;\n\t}\n", id="other edge"),
        pytest.param("\tmemory_p_m.update(p_a, p_sum, p_b, 0);\n", id="memory"),
    ],
)
def test_whoever_does_more_does_not_rest(more: str) -> None:
    for source in (HEAD + VALUES + LOGIC + more + EDGE + END, HEAD + VALUES + LOGIC + EDGE + more + END):
        assert rest_between_edges(source) == source


def test_who_has_to_be_evaluated_again_does_not_rest() -> None:
    source = (HEAD + VALUES + LOGIC + EDGE + END).replace("converged = true", "converged = false")
    assert rest_between_edges(source) == source


def test_processing_elements_rest_in_a_built_model() -> None:
    model = Cxxrtl().build(emit_bench(DieSpec(rows=3, cols=2), MemorySpec(), 1)) / MODEL
    start = model.read_text().index("bool p_pe__bf16__p1::eval(")
    assert RETURN in model.read_text()[start:].split("\n}\n")[0]
