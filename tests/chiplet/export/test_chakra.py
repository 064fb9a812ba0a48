"""Chakra traces, read back."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from chiplet.export import chakra as export_chakra
from chiplet.export.chakra import COLLECTIVES, COMM_COLL_NODE, COMP_NODE, durations, groups, trace_files
from chiplet.export.layer_graph import Node, layer_trace
from chiplet.methods.registry import METHODS
from chiplet.projection.job import StepRequest
from chiplet.projection.project import Accounted, account
from nop.topology import Mesh
from tests.chiplet.export.traces import read_trace
from tests.chiplet.machines import small_model, small_package

MODEL = small_model(hidden=128, heads=8, kv_heads=8, head_dim=16, ffn=256)
GROUPED = small_model(hidden=128, heads=8, kv_heads=2, head_dim=16, ffn=256)


def traced(method: str, mesh: tuple[int, int], model: Any = MODEL) -> tuple[Accounted, list[Node]]:
    found = account(StepRequest(model, small_package(), mesh=mesh, method=method, global_batch=8))
    return found, layer_trace(found, sequences=8 if found.method.sequence_groups <= 8 else None)


def value(node: Any, name: str) -> Any:
    found = [getattr(each, each.WhichOneof("value")) for each in node.attr if each.name == name]
    return found[0] if found else None


@pytest.mark.parametrize("mesh", [(1, 1), (2, 2), (2, 4), (3, 5)])
@pytest.mark.parametrize("method", METHODS)
def test_traces_say_what_the_graph_says(method: str, mesh: tuple[int, int]) -> None:
    _, nodes = traced(method, mesh, GROUPED)
    listed = groups(nodes, Mesh(*mesh))
    files = dict(trace_files(nodes, Mesh(*mesh), "layer"))
    assert list(files) == [f"layer.{npu}.et" for npu in range(mesh[0] * mesh[1])]
    for npu, content in enumerate(files.values()):
        head, read = read_trace(content)
        assert head.version == "0.0.4"
        assert len(read) == len(nodes)
        seen: set[int] = set()
        received, own, rounding = 0, 0.0, 0
        for message, node in zip(read, nodes, strict=True):
            assert set(message.data_deps) <= seen
            assert tuple(message.data_deps) == node.after
            seen.add(message.id)
            assert message.name == node.name
            assert value(message, "is_cpu_op") is False
            if node.line is None:
                assert message.type == COMP_NODE
                assert value(message, "num_ops") == round(node.operations)
                assert value(message, "tensor_size") > 0
                continue
            if message.type == COMP_NODE:  # alone in what is left of a line
                assert (value(message, "num_ops"), value(message, "tensor_size")) == (0, 0)
                continue
            assert message.type == COMM_COLL_NODE
            group = value(message, "pg_name")
            members = listed[group] if group else list(range(mesh[0] * mesh[1]))
            assert npu in members
            own += node.chunk_bytes * (len(members) - 1)
            rounding += len(members)
            size = value(message, "comm_size")
            if value(message, "comm_type") == COLLECTIVES["all-gather"]:
                received += size * (len(members) - 1)
            else:
                received += size // len(members) * (len(members) - 1)
        # Chunks are whole bytes.
        assert own - 1e-3 <= received <= own + rounding


def test_bytes_are_the_projections_where_chunks_are_whole() -> None:
    for method in METHODS:
        found = account(
            StepRequest(
                MODEL,
                small_package(),
                mesh=(2, 4),
                method=method,
                global_batch=8,
                switches={"sums": "operand"},
            )
        )
        nodes = layer_trace(found, sequences=8)
        total = 0
        for message in read_trace(dict(trace_files(nodes, Mesh(2, 4), "layer"))["layer.5.et"])[1]:
            if message.type == COMM_COLL_NODE:
                node = nodes[message.id]
                assert node.line is not None
                size = value(message, "comm_size")
                total += (size if node.op == "all-gather" else size // node.line.size) * (node.line.size - 1)
        expected = found.projection.nop_elements_per_die_per_layer * found.method.element_bytes
        assert total == pytest.approx(expected, rel=1e-12)


def test_groups_are_rows_and_columns_of_the_mesh() -> None:
    _, nodes = traced("hecaton", (2, 4))
    listed = sorted(groups(nodes, Mesh(2, 4)).values())
    assert listed == sorted([[0, 4], [1, 5], [2, 6], [3, 7], [0, 1, 2, 3], [4, 5, 6, 7]])
    _, nodes = traced("flat-ring", (2, 4))
    assert groups(nodes, Mesh(2, 4)) == {}


def test_half_a_trace_is_refused() -> None:
    _, nodes = traced("hecaton", (2, 2))
    content = next(trace_files(nodes, Mesh(2, 2), "layer"))[1]
    with pytest.raises(ValueError, match="ends inside a message"):
        read_trace(content[:-1])
    with pytest.raises(ValueError, match="ends inside the length"):
        read_trace(content + b"\xff")


def test_without_protobuf_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.startswith("google"):
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    export_chakra.messages.cache_clear()
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(ValueError, match=r"pip install 'hecaton\[export\]'"):
        export_chakra.messages()


@pytest.mark.parametrize("mesh", [(2, 4), (4, 2), (3, 3), (1, 5)])
@pytest.mark.parametrize("method", METHODS)
def test_whole_lines_can_go_by_dimension(method: str, mesh: tuple[int, int]) -> None:
    """A row is the first dimension, a column the second; the rest of the trace is the same."""
    _, nodes = traced(method, mesh)
    listed = groups(nodes, Mesh(*mesh), by_dimension=True)
    assert all(len(members) not in mesh or min(mesh) == 1 for members in listed.values()) or method in (
        "flat-ring",
        "torus-ring",
    )
    files = zip(
        trace_files(nodes, Mesh(*mesh), "layer"),
        trace_files(nodes, Mesh(*mesh), "layer", by_dimension=True),
        strict=True,
    )
    for (_, by_name), (_, by_dimension) in files:
        for node, named, other in zip(
            nodes, read_trace(by_name)[1], read_trace(by_dimension)[1], strict=True
        ):
            involved = value(other, "involved_dim")
            if involved is None:
                assert value(other, "pg_name") is None or value(other, "pg_name") in listed
                continue
            assert node.line is not None
            assert value(other, "pg_name") is None
            assert value(named, "pg_name") is not None
            assert list(involved.values) == [node.line.axis == "row", node.line.axis == "column"]
            assert value(other, "comm_size") == value(named, "comm_size")


def test_durations_can_be_finer() -> None:
    _, nodes = traced("hecaton", (2, 2))
    compute = [node for node in nodes if node.op is None]
    for ticks_per_second in (10**6, 10**9):
        ticks = durations(nodes, ticks_per_second)
        total = sum(node.seconds for node in compute) * ticks_per_second
        assert abs(sum(ticks[node.number] for node in compute) - total) <= 0.5 + 1e-6


def test_rounded_durations_do_not_drift() -> None:
    """Of compute: up to any node they are right to half a microsecond."""
    _, nodes = traced("hecaton", (2, 2))
    short = [Node(len(nodes) + place, "short", 0.3e-6, ()) for place in range(20)]
    nodes += short
    compute = [node for node in nodes if node.op is None]
    micros = durations(nodes)
    assert sum(micros[node.number] for node in short) in (5, 6, 7)
    exact = whole = 0.0
    for node in compute:
        exact, whole = exact + node.seconds * 1e6, whole + micros[node.number]
        assert abs(exact - whole) <= 0.5 + 1e-9
    assert set(micros) == {node.number for node in nodes}
