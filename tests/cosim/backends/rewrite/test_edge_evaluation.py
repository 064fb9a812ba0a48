"""Evaluations at an edge and between edges: which statements each of them has."""

from __future__ import annotations

import pytest

from cosim.backends.rewrite.edge_evaluation import does_nothing, split_at_edge

FRAME = "\tbool converged = false;\n{}\treturn converged;\n"
LOAD = "\tif (posedge_p_clk) {{\n\t\tp_r.next = {};\n\t}}\n"


def split(body: str) -> tuple[str, str]:
    """The statements at an edge and between edges, without the frame that both have."""
    parts = []
    for statements in split_at_edge(FRAME.format(body)):
        assert statements[0] == "\tbool converged = false;\n"
        assert statements[-1] == "\treturn converged;\n"
        parts.append("".join(statements[1:-1]))
    return parts[0], parts[1]


def test_registers_load_at_an_edge_only() -> None:
    assert split(LOAD.format("p_i")) == (LOAD.format("p_i"), "")


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("\tp_o.next = not_u<1>(p_r.curr);\n", id="wire"),
        pytest.param("\tp_o.next.slice<3,1>() = p_i;\n", id="part of a wire"),
        pytest.param("\tvalue<1>().concat(p_o.next) = p_i;\n", id="some bits of a sum"),
        pytest.param("\tp_shown = p_i;\n", id="member"),
        pytest.param("\tdrive(cell_p_a, cell_p_a.p_i, p_r.curr);\n", id="input of an instance"),
        pytest.param("\tcell_p_a.p_clk = p_clk;\n", id="clock of an instance"),
    ],
)
def test_what_is_settled_is_not_computed_at_an_edge(statement: str) -> None:
    assert split(statement + LOAD.format("p_o.next")) == (LOAD.format("p_o.next"), statement)


def test_local_values_are_computed_where_they_are_read() -> None:
    names = "\tvalue<1> p_a;\n\tvalue<1> p_b;\n\tvalue<2> i_c;\n\tvalue<1> p_unread;\n"
    chain = "\tp_a = not_u<1>(p_r.curr);\n\ti_c.slice<1>() = p_a;\n\ti_c.slice<0>() = p_i;\n"
    other = "\tp_b = not_u<1>(p_i);\n"
    logic = "\tp_o.next = p_b;\n"
    load = LOAD.format("i_c.slice<1>().val()")
    at_edge, settling = split(names + chain + other + "\tp_unread = p_i;\n" + logic + load)
    assert at_edge == "\tvalue<1> p_a;\n\tvalue<2> i_c;\n" + chain + load
    assert settling == "\tvalue<1> p_b;\n" + other + logic


def test_a_sum_of_which_one_part_is_local_is_computed_where_that_is_read() -> None:
    both = "\tp_a.concat(p_o.next) = add_uu<5>(p_i, p_r.curr);\n"
    assert split("\tvalue<1> p_a;\n" + both + LOAD.format("p_a")) == (
        "\tvalue<1> p_a;\n" + both + LOAD.format("p_a"),
        "\tvalue<1> p_a;\n" + both,
    )
    assert split("\tvalue<1> p_a;\n" + both) == ("", "\tvalue<1> p_a;\n" + both)


def test_an_instance_is_evaluated_at_an_edge_and_its_outputs_where_they_are_read() -> None:
    outputs = "\t\tp_a = cell_p_u.p_x.curr;\n\t\tp_o.next = cell_p_u.p_o.next;\n"
    instance = (
        f"\tif (cell_p_u.eval(performer)) {{\n{outputs}\t}} else {{\n\t\tconverged = false;\n{outputs}\t}}\n"
    )
    evaluated = "\tconverged &= cell_p_u.eval(performer);\n"
    at_edge, settling = split("\tvalue<1> p_a;\n" + instance + LOAD.format("p_a"))
    assert at_edge == f"\tvalue<1> p_a;\n{evaluated}\tp_a = cell_p_u.p_x.curr;\n" + LOAD.format("p_a")
    assert settling == f"{evaluated}\tp_o.next = cell_p_u.p_o.next;\n"


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("\tmemory_p_m.update(p_a, p_i, p_b, 0);\n", id="memory"),
        pytest.param("\tauto tmp_1 = memory_index(p_r.curr, 0, 8);\n", id="index of a memory"),
        pytest.param("\tif (tmp_1.valid) {\n\t\tp_o.next = memory_p_m[tmp_1.index];\n\t}\n", id="block"),
        pytest.param(
            "\tif (cell_p_u.eval(performer)) {\n\t\tp_o.next = cell_p_u.p_o.curr;\n\t}\n", id="other instance"
        ),
    ],
)
def test_what_is_not_known_is_in_both(statement: str) -> None:
    assert split(statement) == (statement, statement)


def test_a_body_without_logic_does_nothing_between_edges() -> None:
    for converged, nothing in (("true", True), ("false", False)):
        body = FRAME.format("\t// a register\n" + LOAD.format("p_i")).replace("false", converged)
        assert does_nothing(split_at_edge(body)[1]) == nothing
    assert not does_nothing(split_at_edge(FRAME.format("\tp_y = p_i;\n").replace("false", "true"))[1])
