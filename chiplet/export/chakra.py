"""Chakra execution traces: the schema of MLCommons Chakra 0.0.4, one file for each NPU (die).

A trace is a sequence of length-delimited messages, a ``GlobalMetadata`` and then a ``Node`` for each step, of the
package ``ChakraProtoMsg`` in mlcommons/chakra, schema/protobuf/et_def.proto. The messages are built at run
time, with the same field numbers, so protoc is not needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any

from chiplet.export.layer_graph import DieGroup, Node
from nop.topology import Mesh

SCHEMA_VERSION = "0.0.4"
MICRO = 1_000_000
"""Ticks per second of the schema's times."""

COMP_NODE, COMM_COLL_NODE = 4, 7
COLLECTIVES = {"all-gather": 2, "reduce-scatter": 7}
"""Values of the schema's ``NodeType`` and ``CollectiveCommType``."""

_FIELDS: Mapping[str, Sequence[tuple[str, int, str]]] = {
    "AttributeProto": (
        ("name", 1, "string"),
        ("doc_string", 2, "string"),
        ("int64_val", 9, "int64"),
        ("uint64_val", 13, "uint64"),
        ("bool_val", 27, "bool"),
        ("bool_list", 28, "BoolList"),
        ("string_val", 29, "string"),
    ),
    "BoolList": (("values", 1, "bool*"),),
    "GlobalMetadata": (("version", 1, "string"), ("attr", 2, "AttributeProto*")),
    "Node": (
        ("id", 1, "uint64"),
        ("name", 2, "string"),
        ("type", 3, "int32"),
        ("ctrl_deps", 4, "uint64*"),
        ("data_deps", 5, "uint64*"),
        ("start_time_micros", 6, "uint64"),
        ("duration_micros", 7, "uint64"),
        ("attr", 10, "AttributeProto*"),
    ),
}
"""The written fields of the schema: name, number, type; a star marks repeated fields. Enumerations are written as
integers, as on the wire."""

_VALUES = ("int64_val", "uint64_val", "bool_val", "bool_list", "string_val")
"""Fields of which an attribute has exactly one."""


@lru_cache(maxsize=1)
def messages() -> dict[str, Any]:
    """The classes of the schema's messages by name. Raises ``ValueError``, in one line, without protobuf."""
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError:
        raise ValueError(
            "Chakra traces need protobuf: install hecaton with its extra export (pip install 'hecaton[export]')"
        ) from None
    package = "ChakraProtoMsg"
    file = descriptor_pb2.FileDescriptorProto(name="hecaton/et_def.proto", package=package, syntax="proto3")
    field_type = descriptor_pb2.FieldDescriptorProto
    for message_name, fields in _FIELDS.items():
        message = file.message_type.add(name=message_name)
        for name, number, field_kind in fields:
            one = message.field.add(name=name, number=number)
            one.label = field_type.LABEL_REPEATED if field_kind.endswith("*") else field_type.LABEL_OPTIONAL
            scalar = field_kind.rstrip("*")
            if scalar in _FIELDS:
                one.type, one.type_name = field_type.TYPE_MESSAGE, f".{package}.{scalar}"
            else:
                one.type = field_type.Type.Value(f"TYPE_{scalar.upper()}")
            if message_name == "AttributeProto" and name in _VALUES:
                one.oneof_index = 0
        if message_name == "AttributeProto":
            message.oneof_decl.add(name="value")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in _FIELDS
    }


def whole_line(line: DieGroup, mesh: Mesh) -> tuple[bool, ...] | None:
    """For a whole row or column of ``mesh`` whether it runs along the rows, and along the columns: the dimensions of
    the network that it involves. None for all dies together, and for a part of a line.
    """
    if line.size == mesh.nodes or line.size != {"row": mesh.cols, "column": mesh.rows}.get(line.axis):
        return None
    return (line.axis == "row", line.axis == "column")


def groups(nodes: Sequence[Node], mesh: Mesh, *, by_dimension: bool = False) -> dict[str, list[int]]:
    """Communicator groups of ``nodes``, named "1" and up, as lists of NPU numbers. All dies together need no group, and
    ``by_dimension`` whole rows and columns need none either.

    An NPU is a die, numbered row by row, or in the order of the ring on a ring through all dies.
    """
    lines = {node.line for node in nodes if node.line is not None and node.line.size < mesh.nodes}
    if by_dimension:
        lines = {line for line in lines if whole_line(line, mesh) is None}
    listed: list[list[int]] = []
    for line in sorted(lines, key=lambda line: (line.axis, line.size)):
        listed += [members for members in _members(line, mesh) if members not in listed]
    return {str(number): members for number, members in enumerate(listed, start=1)}


def _members(line: DieGroup, mesh: Mesh) -> Iterator[list[int]]:
    """Each group of ``line``: consecutive dies of a row, of a column, or of all dies."""
    rows, cols = mesh.rows, mesh.cols
    if line.axis == "row":
        lines = [[row * cols + col for col in range(cols)] for row in range(rows)]
    elif line.axis == "column":
        lines = [[row * cols + col for row in range(rows)] for col in range(cols)]
    else:
        lines = [list(range(mesh.nodes))]
    for dies in lines:
        yield from (dies[start : start + line.size] for start in range(0, len(dies), line.size))


@dataclass(frozen=True)
class _Members:
    """A die's group in a collective: how many dies, and its name or the dimensions of the network that it involves."""

    size: int
    name: str = ""
    dimensions: tuple[bool, ...] = ()


def comm_size(node: Node, members: int) -> int:
    """``comm_size`` of a collective among ``members`` dies as ASTRA-sim reads it: what a die contributes to an
    all-gather, or all data that a reduce-scatter starts with. A chunk is rounded up to whole bytes.
    """
    chunk = ceil(node.chunk_bytes)
    return chunk if node.op == "all-gather" else chunk * members


def trace_files(
    nodes: Sequence[Node], mesh: Mesh, name: str, *, by_dimension: bool = False, ticks_per_second: int = MICRO
) -> Iterator[tuple[str, bytes]]:
    """Name and content of the trace of each NPU: ``<name>.<npu>.et``.

    Attributes and their types are those that ASTRA-sim's feeder reads. Of a whole row or column a collective names its
    communicator group, or ``by_dimension`` the dimensions of the network (``involved_dim``). Durations are in the
    microseconds of the schema, or in whole ticks of another length. Raises ``ValueError`` without protobuf.
    """
    classes = messages()
    listed = groups(nodes, mesh, by_dimension=by_dimension)
    names = {tuple(members): number for number, members in listed.items()}
    everyone = _Members(mesh.nodes)
    own: dict[tuple[DieGroup, int], _Members] = {}
    for line in {node.line for node in nodes if node.line is not None}:
        for members in _members(line, mesh):
            group = _Members(len(members), names.get(tuple(members), ""))
            if not group.name and len(members) < mesh.nodes:
                group = _Members(len(members), dimensions=whole_line(line, mesh) or ())
            for npu in members:
                own[line, npu] = group
    head = _delimited(classes["GlobalMetadata"](version=SCHEMA_VERSION))
    encoded: dict[tuple[int, _Members], bytes] = {}
    ticks = durations(nodes, ticks_per_second)
    for npu in range(mesh.nodes):
        parts = [head]
        for node in nodes:
            group = own[node.line, npu] if node.line else everyone
            if (node.number, group) not in encoded:
                encoded[node.number, group] = _delimited(_message(classes, node, ticks[node.number], group))
            parts.append(encoded[node.number, group])
        yield f"{name}.{npu}.et", b"".join(parts)


def durations(nodes: Sequence[Node], ticks_per_second: int = MICRO) -> dict[int, int]:
    """Ticks of each node, whole ones, by number. What rounding leaves of a compute node goes to the next one, so that
    those up to any node take its seconds to half a tick.
    """
    ticks, left = {}, 0.0
    for node in nodes:
        if node.op is None:
            exact = node.seconds * ticks_per_second + left
            ticks[node.number] = max(0, round(exact))
            left = exact - ticks[node.number]
        else:
            ticks[node.number] = max(1, round(node.seconds * ticks_per_second))
    return ticks


def _message(classes: Mapping[str, Any], node: Node, ticks: int, group: _Members) -> Any:
    """A node of the trace of a die in ``group``, of ``ticks``; a single die has nothing to communicate."""
    attribute = classes["AttributeProto"]
    attributes = [attribute(name="is_cpu_op", bool_val=False)]
    talks = node.op is not None and group.size > 1
    if talks:
        attributes += [
            attribute(name="comm_type", int64_val=COLLECTIVES[str(node.op)]),
            attribute(name="comm_size", int64_val=comm_size(node, group.size)),
        ]
        if group.name:
            attributes.append(attribute(name="pg_name", string_val=group.name))
        if group.dimensions:
            involved = classes["BoolList"](values=group.dimensions)
            attributes.append(attribute(name="involved_dim", bool_list=involved))
    else:
        attributes += [
            attribute(name="num_ops", int64_val=round(node.operations)),
            attribute(name="tensor_size", uint64_val=round(node.tensor_bytes)),
        ]
    return classes["Node"](
        id=node.number,
        name=node.name,
        type=COMM_COLL_NODE if talks else COMP_NODE,
        data_deps=node.after,
        duration_micros=ticks if talks or node.op is None else 0,
        attr=attributes,
    )


def _delimited(message: Any) -> bytes:
    """A message after its length, in seven bits a byte, low bits first."""
    data: bytes = message.SerializeToString(deterministic=True)
    size, prefix = len(data), bytearray()
    while size > 0x7F:
        prefix.append(size & 0x7F | 0x80)
        size >>= 7
    prefix.append(size)
    return bytes(prefix) + data
