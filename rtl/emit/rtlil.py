"""RTLIL text, the netlist format between Amaranth and Yosys: cleaned, and converted to Verilog."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import count
from threading import Event

from rtl.emit.yosys import YosysError, run_yosys

CLOCKING = ("clk", "rst")
"""Ports of the one clock domain: a module has them where it uses them."""

MARKER = "hecaton_marker"
"""Cell that keeps a module without logic from being left out; :func:`tidy` removes it."""

# All of `proc` but the passes for clocks and latches, which our processes have not. They leave no `always @*`, which
# Icarus would not run at time 0.
_PROCESSES = "proc_clean; proc_rmdead; proc_prune; proc_init; proc_rom; proc_mux; proc_clean; opt_expr"
_CLEAN = "opt_clean -purge"

_BLACK_BOX = "attribute \\blackbox 1\n"
_MODULE = re.compile(r"^module \\(\S+)\n.*?^end$", re.MULTILINE | re.DOTALL)
_WIRE = re.compile(r"^  wire width (\d+) (?:(input|output) \d+ +)?(signed )?\\(\S+)$", re.MULTILINE)
_NOISE = re.compile(rf"^  cell (\$meminit_v2|\\{MARKER}) ", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^ *attribute \\(?!init |keep )\S+ [^\n]*\n", re.MULTILINE)
_KEPT = re.compile(r"^attribute \\keep_hierarchy 1\nmodule \\(\S+)$", re.MULTILINE)
_INNER = re.compile(r"^((?:module|  cell) \\)(\S+)", re.MULTILINE)
_PUBLIC = re.compile(r"\\([^\s\"\\]+)")
_VERILOG_MODULE = re.compile(r"^module \\?([^\s(;]+).*?^endmodule\n", re.MULTILINE | re.DOTALL)
_HEAD = re.compile(r"\Amodule (\w+)\(([^)]+)\);\n")  # Yosys breaks long lines
_ESCAPED = re.compile(r"\\\S+")
_DECLARATION = re.compile(
    r"^  (input|output) ((?:\[\d+:0\] )?)(\w+);\n  (wire|reg) \2\3( = [^;\n]+)?;\n", re.MULTILINE
)
_SHORT = re.compile(r"(?<='h)0+(?=[0-9a-f])")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def module_names(text: str) -> list[str]:
    """Names of the modules in ``text``, in its order."""
    return [match[1] for match in _MODULE.finditer(text)]


def ports_of(text: str, module: str) -> list[str]:
    """Names of the ports of ``module`` in ``text``, in port order."""
    return [wire[4] for wire in _port_wires(text, module)]


def _port_wires(text: str, module: str) -> list[re.Match[str]]:
    """Declarations of the ports of ``module`` in ``text``, in port order."""
    (body,) = (match[0] for match in _MODULE.finditer(text) if match[1] == module)
    wires = (_WIRE.match(line) for line in body.splitlines())
    return [wire for wire in wires if wire and wire[2]]


def keep_hierarchy(text: str, *modules: str) -> str:
    """Mark ``modules`` in ``text``, so that Yosys does not dissolve them when it flattens the design."""
    heads = "|".join(map(re.escape, modules))
    return re.sub(
        rf"^module \\(?:{heads})$", r"attribute \\keep_hierarchy 1\n\g<0>", text, flags=re.MULTILINE
    )


def kept_hierarchy(text: str) -> list[str]:
    """Names of the modules in ``text`` that :func:`keep_hierarchy` has marked, in its order."""
    return _KEPT.findall(text)


def tidy(text: str, *, order: Sequence[str], black_box: bool) -> str:
    """Clean the RTLIL of one block, so that all names in it are Verilog identifiers.

    It drops initial contents of memories, wires without bits, names for the fields of structures, an unused clock
    or reset, the :data:`MARKER`, and all attributes but ``init`` of registers and ``keep``. Modules inside the block,
    named ``block.inner``, become ``block__inner`` and come before it.

    Parameters
    ----------
    text
        RTLIL of the block, its top module first.
    order
        Names of ports in their order in Verilog.
    black_box
        Keep nothing of the block but its ports.
    """
    modules = [_tidy_module(match[0], order, black_box) for match in _MODULE.finditer(text)]
    return "\n".join(modules[:1] if black_box else reversed(modules))


def _tidy_module(text: str, order: Sequence[str], black_box: bool) -> str:
    uses = Counter(_PUBLIC.findall(text))
    text = _INNER.sub(lambda match: match[1] + match[2].replace(".", "__"), _ATTRIBUTE.sub("", text))
    head, *items = text.removesuffix("\nend").split("\n\n")
    ports: dict[str, str] = {}
    kept: list[str] = []
    dropped: set[str] = set()
    for item in items:
        wire = _WIRE.search(item)
        if wire is None:
            if item and not _NOISE.search(item):
                kept.append(item)
            continue
        width, direction, signed, name = wire.groups()
        if width == "0" or (name in CLOCKING and uses[name] == 1) or _is_field(name, uses):
            dropped.add(name)
        elif direction:
            ports[name] = (
                item[: wire.start()] + f"  wire width {width} {direction} {{}} {signed or ''}\\{name}"
            )
        else:
            kept.append(item)
    ranks = {name: rank for rank, name in enumerate(order)}
    names = sorted(ports, key=lambda name: ranks.get(name, len(ranks)))
    wires = [ports[name].format(position) for position, name in enumerate(names, start=1)]
    if black_box:
        return "\n".join([f"{_BLACK_BOX}{head}", *wires, "end", ""])
    lines = [
        line
        for line in "\n".join(kept).splitlines()
        if not line.startswith("connect \\") or line.split(" ", 2)[1][1:] not in dropped
    ]
    return "\n".join([head, *wires, _legal("\n".join(lines), uses), "end", ""])


def _is_field(name: str, uses: Counter[str]) -> bool:
    """Whether a wire only names a part of another wire: declared, connected, never read."""
    return uses[name] == 2 and _IDENTIFIER.fullmatch(name) is None


def _legal(text: str, names: Iterable[str]) -> str:
    """Rename whatever is not a Verilog identifier: the second ``state``, called ``state$2``, to ``state_2``."""
    taken = set(names)
    new: dict[str, str] = {}
    for name in names:
        if not _IDENTIFIER.fullmatch(name):
            base = re.sub(r"\W", "_", name.split("$")[0]) or "signal"
            legal = next(legal for number in count(2) if (legal := f"{base}_{number}") not in taken)
            taken.add(legal)
            new[name] = legal
    return _PUBLIC.sub(lambda match: "\\" + new.get(match[1], match[1]), text) if new else text


def interface(text: str, module: str) -> str:
    """``module`` of ``text`` with its ports only, for an instance of it in a text without it."""
    head = _BLACK_BOX if text.startswith(_BLACK_BOX) else ""
    ports = [wire[0] for wire in _port_wires(text, module)]
    return "\n".join([f"{head}module \\{module}", *ports, "end", ""])


def to_verilog(
    text: str, *, what: str, narrow: Iterable[str] = (), cancelled: Event | None = None
) -> dict[str, str]:
    """Verilog of each module in ``text``, the RTLIL of a design or of a part of it.

    What modules are beside a module decides names of wires in it, which Yosys makes, but not what it does.

    Parameters
    ----------
    text
        The modules, and interfaces of those that they have instances of (:func:`interface`).
    what
        Name of the design, for error messages.
    narrow
        In these modules, operators get only as many bits as their users read.
    cancelled
        Is set, by another thread, when Yosys is to end.

    Raises
    ------
    YosysError
        If the netlist is inconsistent, e.g. an instance has a port that its module does not have, or one of its
        names is a keyword of Verilog.
    ChildCancelled
        If ``cancelled`` is set before Yosys ends.
    """
    script = f"read_rtlil <<rtlil\n{text}\nrtlil\nhierarchy -check\n{_PROCESSES}\n"
    narrowed = " ".join(narrow)
    if narrowed:
        script += f"{_CLEAN} {narrowed}\nwreduce {narrowed}\n"
    script += f"{_CLEAN}\nwrite_verilog -noattr -noparallelcase\nwrite_verilog -noattr -blackboxes\n"
    written = run_yosys(script, what=what, cancelled=cancelled)
    escaped = _ESCAPED.search(written)
    if escaped:
        raise YosysError(f"{what}: the name {escaped[0][1:]} is a keyword of Verilog: must be none")
    return {match[1]: _with_ports(_SHORT.sub("", match[0])) for match in _VERILOG_MODULE.finditer(written)}


def _with_ports(text: str) -> str:
    """Declare each port of a Verilog module once, in its head; Yosys names it there and declares it twice below."""
    declared: dict[str, str] = {}

    def collect(match: re.Match[str]) -> str:
        direction, shape, name, net_type, value = match.groups()
        declared[name] = f"  {direction} {net_type} {shape}{name}{value or ''}"
        return ""

    body = _DECLARATION.sub(collect, text)

    def head(match: re.Match[str]) -> str:
        ports = ",\n".join(declared[name] for name in re.findall(r"\w+", match[2]))
        return f"module {match[1]} (\n{ports}\n);\n"

    return _HEAD.sub(head, body)
