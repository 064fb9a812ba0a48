"""Skipped evaluations: what is skipped, what wakes an instance, and what is left alone."""

from __future__ import annotations

import re

import pytest

from chiplet.machine.specs import DieSpec, MemorySpec
from cosim.backends.cxxrtl import MODEL, Cxxrtl
from cosim.backends.rewrite.idle_evaluation import skip_unchanged
from cosim.run.die import emit_bench

CLOCK = """\
\t/*input*/ value<1> p_clk;
\tvalue<1> prev_p_clk;
"""
COMMIT = """\
\tbool commit(ObserverT &observer) {{
\t\tbool changed = false;
{}\t\treturn changed;
\t}}
"""
EVAL = """\
bool {}::eval(performer *performer) {{
\tbool converged = {};
\tbool posedge_p_clk = this->posedge_p_clk();
{}\treturn converged;
}}
"""
INNER = (
    "struct p_inner : public module {\n"
    + CLOCK
    + "\t/*input*/ value<4> p_i;\n\t/*input*/ value<1> p_rst;\n"
    + "\t/*output*/ wire<4> p_both;\n\t/*output*/ wire<4> p_early;\n"
    + "\t/*output*/ wire<4> p_now;\n\t/*output*/ wire<4> p_o;\n"
    + COMMIT.format(
        "".join(
            f"\t\tif ({wire}.commit(observer)) changed = true;\n"
            for wire in ("p_both", "p_early", "p_now", "p_o")
        )
    )
    + "}; // struct p_inner\n\nvoid p_inner::reset() {\n\tp_o = wire<4>{0u};\n}\n\n"
)
INNER_LOGIC = """\
\tp_both.next.slice<0>() = p_i.slice<0>().val();
\tp_now.next = not_u<4>(p_early.curr);
\tp_early.next = xor_uu<4>(p_i, p_now.curr);
\tif (posedge_p_clk) {
\t\tp_o.next = add_uu<4>(p_o.curr, p_now.curr);
\t\tp_both.next.slice<3,1>() = p_i.slice<3,1>().val();
\t}
"""
TOP = (
    "struct p_top : public module {\n"
    + CLOCK
    + "\t/*input*/ value<4> p_host;\n\twire<4> p_now;\n\twire<4> p_o;\n\n\tp_inner cell_p_inner {interior()};\n"
    + COMMIT.format(
        "\t\tif (p_now.commit(observer)) changed = true;\n"
        "\t\tif (p_o.commit(observer)) changed = true;\n"
        "\t\tif (cell_p_inner.commit(observer)) changed = true;\n"
    )
    + "}; // struct p_top\n\n"
)
TOP_LOGIC = """\
\tcell_p_inner.p_clk = p_clk;
\tcell_p_inner.p_i = and_uu<4>(p_host, p_o.curr);
\tif (cell_p_inner.eval(performer)) {
\t\tp_now.next = cell_p_inner.p_now.curr;
\t\tp_o.next = cell_p_inner.p_o.curr;
\t}
"""


def model(inner: str = INNER_LOGIC, top: str = TOP_LOGIC, inner_class: str = INNER) -> str:
    """A register and some logic in a top, as CXXRTL writes them."""
    logic = EVAL.format("p_inner", "false", inner) + "\n" + TOP + EVAL.format("p_top", "false", top)
    return "namespace cxxrtl_design {\n\n" + inner_class + logic


def evaluation(source: str, name: str, function: str = "eval") -> str:
    """The body of an ``eval``, or of the ``load`` that it calls at an edge."""
    found = re.search(
        rf"^bool {name}::{function}\(performer \*performer\) \{{\n(.*?)^\}}\n",
        source,
        re.MULTILINE | re.DOTALL,
    )
    assert found is not None
    return found[1]


def test_an_instance_returns_unless_something_changed() -> None:
    for name in ("p_inner", "p_top"):
        body = evaluation(skip_unchanged(model()), name)
        assert "\tif (posedge_p_clk ? !restless : !unsettled)\n\t\treturn true;\n" in body


def test_a_new_input_wakes() -> None:
    body = evaluation(skip_unchanged(model()), "p_top")
    assert "\tdrive(cell_p_inner, cell_p_inner.p_i, and_uu<4>(p_host, p_o.curr));\n" in body
    assert "\tcell_p_inner.p_clk = p_clk;\n" in body
    assert (
        "\tif (last_p_host != p_host) {\n\t\tlast_p_host = p_host;\n\t\tunsettled = restless = true;\n\t}\n"
        in body
    )
    assert "last_p_i" not in skip_unchanged(model())


def test_what_is_committed_wakes_unless_its_readers_have_it() -> None:
    text = skip_unchanged(model())
    assert "\t\tp_now.commit(observer);\n" in text
    for wire in ("p_both", "p_early", "p_o", "cell_p_inner"):
        assert f"\t\tif ({wire}.commit(observer)) changed = true;\n" in text
    assert text.count("\t\tif (!evaluated)\n\t\t\treturn false;\n\t\tevaluated = false;\n") == 2
    assert text.count("\t\tif (changed)\n\t\t\tunsettled = restless = true;\n") == 2


def test_an_output_without_a_register_is_read_at_once() -> None:
    text = skip_unchanged(model())
    assert "\tp_early.next = xor_uu<4>(p_i, p_now.next);\n" in evaluation(text, "p_inner")
    assert "\tp_now.next = not_u<4>(p_early.curr);\n" in evaluation(text, "p_inner")
    body = evaluation(text, "p_top")
    assert "\t\tp_now.next = cell_p_inner.p_now.next;\n" in body
    # The top computes its own wire of this name at once, too: the register of the instance is another one.
    assert "\t\tp_o.next = cell_p_inner.p_o.curr;\n" in body


def test_an_output_that_is_read_before_its_instance_is_evaluated_waits() -> None:
    early = "\tp_now.next = cell_p_inner.p_now.curr;\n"
    text = skip_unchanged(model(top=early + TOP_LOGIC))
    assert early in text
    assert "\t\tif (p_now.commit(observer)) changed = true;\n" in text


def test_an_edge_only_loads() -> None:
    text = skip_unchanged(model())
    assert "\tif (posedge_p_clk)\n\t\treturn load(performer);\n" in evaluation(text, "p_inner")
    assert "p_o.next" not in evaluation(text, "p_inner")
    load = evaluation(text, "p_inner", "load")
    assert "\t\tp_o.next = add_uu<4>(p_o.curr, p_now.next);\n" in load
    assert "p_early.next =" not in load
    assert text.count("\tbool load(performer *performer);\n") == 2


def test_inputs_that_change_with_the_clock_settle_before_the_edge() -> None:
    text = skip_unchanged(model())
    body = evaluation(text, "p_top")
    settle = (
        "\trising_edge = false;\n\twhile (edge && unsettled) {\n\t\teval(performer);\n\t\tcommit();\n\t}\n"
    )
    assert body.index("last_p_host != p_host") < body.index(settle) < body.index("\trising_edge = edge;\n")
    assert "while" not in evaluation(text, "p_inner")


def test_a_reset_of_the_model_wakes() -> None:
    assert "void p_inner::reset() {\n\tunsettled = restless = true;\n" in skip_unchanged(model())


def test_registers_alone_are_evaluated_at_edges_only() -> None:
    edge = "\tvalue<4> i_1;\n\ti_1 = not_u<4>(p_i);\n\tif (posedge_p_clk) {\n\t\tp_o.next = i_1;\n\t}\n"
    text = model(inner=edge).replace("converged = false", "converged = true", 1)
    assert "\tif (posedge_p_clk ? !restless : true)\n" in evaluation(skip_unchanged(text), "p_inner")


@pytest.mark.parametrize(
    "more",
    [
        pytest.param("\tp_now.next = p_i;\n", id="output without a register"),
        pytest.param("\tp_y = p_i;\n", id="member that others read"),
        pytest.param("\tp_y.slice<3,0>() = p_i;\n", id="part of a member"),
        pytest.param("\tmemory_p_m.update(p_a, p_i, p_b, 0);\n", id="memory"),
    ],
)
def test_whoever_does_more_is_evaluated_between_edges(more: str) -> None:
    edge = "\tif (posedge_p_clk) {\n\t\tp_o.next = p_i;\n\t}\n"
    for logic in (more + edge, edge + more):
        text = model(inner=logic).replace("converged = false", "converged = true", 1)
        assert "? !restless : !unsettled)\n" in evaluation(skip_unchanged(text), "p_inner")


@pytest.mark.parametrize(("reset", "rest"), [(True, "!restless"), (False, "false")])
def test_a_memory_that_may_be_written_from_outside_rests_only_if_it_has_a_reset(
    reset: bool, rest: str
) -> None:
    inner = INNER.replace("\t/*output*/", "\tmemory<4> memory_p_m { 8u };\n\t/*output*/", 1)
    if not reset:
        inner = inner.replace("\t/*input*/ value<1> p_rst;\n", "")
    text = skip_unchanged(model(inner_class=inner))
    assert f"\tif (posedge_p_clk ? {rest} : !unsettled)\n" in evaluation(text, "p_inner")
    # What is read from it is computed at every edge, too.
    assert ("load(performer)" in evaluation(text, "p_inner")) == reset


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("p_rst;", "p_rst;\n\tbool negedge_p_clk() const;", id="falling edge"),
        pytest.param("p_rst;", "p_rst;\n\tbool posedge_p_other() const;", id="other clock"),
        pytest.param("cell_p_inner.p_clk = p_clk;", "cell_p_inner.p_clk = p_gated;", id="gated clock"),
        pytest.param("cell_p_inner.p_i = and_uu", "cell_p_inner.p_i = p_clk;\n\tand_uu", id="clock as data"),
        pytest.param("p_inner cell_p_inner", "bb_p_inner cell_p_inner", id="black box"),
        pytest.param("/*input*/ value<1> p_clk;", "value<1> p_clk;", id="clock that is no input"),
    ],
)
def test_what_has_more_than_one_clock_is_left_alone(old: str, new: str) -> None:
    source = model().replace(old, new)
    assert source != model()
    assert skip_unchanged(source) == source


def test_the_instances_of_a_built_model_rest() -> None:
    # The die of test_cxxrtl, so that its model is built once.
    text = (Cxxrtl().build(emit_bench(DieSpec(rows=3, cols=2), MemorySpec(), 1)) / MODEL).read_text()
    assert "\tif (posedge_p_clk ? !restless : true)\n" in evaluation(text, "p_pe__bf16__p1")
    assert text.count("\t\treturn true;\n") == len(
        re.findall(r"^struct \w+ : public module", text, re.MULTILINE)
    )
    assert "drive(" not in evaluation(text, "p_command__processor__32__4", "load")
    assert "drive(" in text
