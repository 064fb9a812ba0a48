"""Logic inside the clocked block: the same registers in each cycle, and nothing moved that is not understood."""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path

import pytest

from chiplet.machine.specs import Dtype
from rtl.compute.mac import Adder
from rtl.compute.pe import PE
from rtl.emit.conversions import Conversions
from rtl.emit.emitter import emit
from rtl.rewrite.clocked import clocked
from rtl.rewrite.verilog_expression import read

MODULE = """\
module sums (
  input wire clk,
  input wire [7:0] a,
  input wire [7:0] b,
  output reg [8:0] o = 9'h0,
  output wire [7:0] seen
);
{body}endmodule
"""

BINARY = ("+", "-", "*", "&", "|", "^", "<", "<=", "==", "!=", ">", ">=")


def module(body: str) -> str:
    return MODULE.format(body=body)


def step(text: str) -> list[str]:
    """Lines of the clocked block."""
    found = re.search(
        r"^  always @\(posedge clk\) begin : step\n(.*?)^  end$", text, re.MULTILINE | re.DOTALL
    )
    return [line.strip() for line in found[1].splitlines()] if found else []


def test_what_registers_alone_read_moves() -> None:
    text = clocked(
        module(
            "  wire _0_;\n  wire [8:0] _1_;\n  wire [7:0] half;\n"
            "  assign half = _1_[8:1];\n  assign _1_ = a + b;\n  assign _0_ = a < b;\n"
            "  always @(posedge clk)\n    o <= { _0_, half };\n"
            "  assign seen = a;\n"
        )
    )
    assert step(text) == [
        "reg [8:0] _1_;",
        "reg [7:0] half;",
        "_1_ = a + b;",
        "half = _1_[8:1];",
        "o <= { a < b, half };",
    ]
    assert "  wire" not in text
    assert text.count("assign") == 1


@pytest.mark.parametrize(
    "body",
    [
        "",
        "  assign seen = a;\n  always @(posedge clk)\n    o <= a;\n",
        "  wire [7:0] x;\n  assign x = a & b;\n  always @(posedge clk)\n    o <= x;\n  assign seen = x;\n",
        "  wire [7:0] x;\n  assign { x[7:1], seen } = a & b;\n  always @(posedge clk)\n    o <= x;\n",
        "  wire x;\n  assign x = a < b;\n  always @(posedge clk)\n    if (x) o <= a;\n",
        "  wire x;\n  assign x = a < b;\n  always @(negedge clk)\n    o <= x;\n",
        "  wire [7:0] x;\n  assign x = choose(a, b);\n  always @(posedge clk)\n    o <= x;\n",
        "  reg [7:0] words [7:0];\n  wire [7:0] x;\n  assign x = words[a];\n  always @(posedge clk)\n    o <= x;\n",
        "  wire x;\n  wire y;\n  assign x = ~ y;\n  assign y = ~ x;\n  always @(posedge clk)\n    o <= x;\n",
        "  wire x;\n  assign x = a < b;\n  inner inner (\n    .i(x)\n  );\n  always @(posedge clk)\n    o <= x;\n",
        "  reg signed [7:0] r;\n  wire x;\n  assign x = a < b;\n  always @(posedge clk)\n    r <= x;\n",
    ],
    ids=[
        "nothing",
        "none",
        "port",
        "partial",
        "enable",
        "edge",
        "call",
        "memory",
        "loop",
        "instance",
        "signed",
    ],
)
def test_everything_else_stays(body: str) -> None:
    assert clocked(module(body)) == module(body)


def test_what_nothing_reads_stays_for_those_who_look_at_it() -> None:
    body = (
        "  wire x;\n  wire y;\n  assign x = a < b;\n  assign y = ~ x;\n  always @(posedge clk)\n    o <= a;\n"
    )
    assert clocked(module(body)) == module(body)


def test_signed_operands_move_and_are_joined_with_nothing() -> None:
    text = clocked(
        module(
            "  wire [7:0] _0_;\n  wire [8:0] _1_;\n  wire [8:0] _2_;\n  assign _0_ = ~ a;\n"
            "  assign _1_ = $signed(_0_) * $signed(b);\n  assign _2_ = _1_ ^ a;\n"
            "  always @(posedge clk)\n    o <= _2_;\n  assign seen = a;\n"
        )
    )
    assert step(text)[2:] == ["_0_ = ~ a;", "_1_ = $signed(_0_) * $signed(b);", "o <= _1_ ^ a;"]


def test_the_block_has_a_name_of_its_own() -> None:
    text = clocked(
        module(
            "  wire step;\n  assign step = a < b;\n  always @(posedge clk)\n    o <= { step, a };\n  assign seen = a;\n"
        )
    )
    assert "begin : step2\n    reg step;\n" in text


class Random:
    """A module of random logic, as Yosys would write it."""

    inputs: dict[str, int]
    outputs: dict[str, int]
    text: str

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._wires: dict[str, int] = {}
        self._unread: list[str] = []
        rng = self._rng
        self.inputs = {f"i{n}": rng.randint(1, 9) for n in range(4)}
        self.outputs = {f"o{n}": rng.randint(1, 12) for n in range(3)}
        self._widths = dict(self.inputs)
        assigns = []
        for n in range(14):
            name = f"_{n:02d}_" if rng.random() < 0.8 else f"wire_{n}"
            value = self._value()
            # As wide as it is by itself, or with its carry, or anything.
            width = rng.choice(
                [own := read(value, width=1, widths=self._widths, others={}).width] * 3 + [own + 1]
            )
            assigns.append(f"  assign {name} = {value};\n")
            self._widths[name] = self._wires[name] = width if rng.random() < 0.8 else rng.randint(1, 12)
            self._unread.append(name)
        rng.shuffle(assigns)
        nexts = {name: self._operand() for name in self.outputs}
        rest = self._unread or list(self._wires)
        nexts["o0"] = f"{{ {', '.join(rest)} }}"
        self.outputs["o0"] = sum(self._widths[name] for name in rest)
        registers = [f"  always @(posedge clk)\n    {name} <= {value};\n" for name, value in nexts.items()]
        ports = [
            "  input wire clk",
            *(f"  input wire [{width - 1}:0] {name}" for name, width in self.inputs.items()),
            *(f"  output reg [{width - 1}:0] {name}" for name, width in self.outputs.items()),
        ]
        self.text = f"module dut{seed} (\n" + ",\n".join(ports) + "\n);\n"
        self.text += "".join(f"  wire [{width - 1}:0] {name};\n" for name, width in self._wires.items())
        self.text += "".join(assigns + registers) + "endmodule\n"

    def _operand(self, *, depth: int = 0) -> str:
        rng = self._rng
        kind = rng.random()
        if kind < 0.1:
            width = rng.randint(1, 8)
            return f"{width}'h{rng.getrandbits(width):x}"
        if kind < 0.25 and depth < 2:
            return f"{{ {', '.join(self._operand(depth=depth + 1) for _ in range(rng.randint(1, 3)))} }}"
        # Mostly what nothing reads yet: what is read once is joined.
        unread = self._unread[:-1] if kind > 0.5 else []
        name = rng.choice(unread or list(self._widths))
        if name in self._unread:
            self._unread.remove(name)
        if kind < 0.4:
            low, high = sorted(rng.randrange(self._widths[name]) for _ in range(2))
            return f"{name}[{high}:{low}]" if high > low else f"{name}[{low}]"
        return name

    def _value(self) -> str:
        rng = self._rng
        one, two, three = self._operand(), self._operand(), self._operand()
        kind = rng.random()
        if kind < 0.2:
            return f"{rng.choice(['~', '-', '!', '&', '|', '^'])} {one}"
        if kind < 0.4:
            return f"{one} ? {two} : {three}"
        if kind < 0.5:
            return f"{one} {rng.choice(['<<', '>>'])} {two}"
        return f"{one} {rng.choice(BINARY)} {two}"


def differences(pairs: list[tuple[str, str]], path: Path, *, undefined: bool = True, cycles: int = 60) -> str:
    """What Icarus prints of registers that differ between modules of one name under the same random inputs."""
    declared, connected, drive, check, texts = [], [], [], [], []
    for gold, gate in pairs:
        name = re.findall(r"^module (\w+)", gold, re.MULTILINE)[0]
        texts += [gold, gate.replace(f"module {name} ", f"module {name}_gate ")]
        ports = re.findall(r"^  (input|output) (?:wire|reg) (?:\[(\d+):0\] )?(\w+)", gold, re.MULTILINE)
        pins = {"gold": [".clk(clk)"], "gate": [".clk(clk)"]}
        for direction, high, port in ports[1:]:
            wire = f"{name}_{port}"
            if direction == "input":
                declared.append(f"reg [{high or 0}:0] {wire};")
                drive.append(f"{wire} = $random;")
                if undefined:
                    drive.append(f"if (!($random & 15)) {wire} = {wire} ^ (1'bx << ($random & 7));")
                for kind in pins.values():
                    kind.append(f".{port}({wire})")
            else:
                declared.append(f"wire [{high or 0}:0] {wire}, {wire}_gate;")
                pins["gold"].append(f".{port}({wire})")
                pins["gate"].append(f".{port}({wire}_gate)")
                check.append(f'if ({wire} !== {wire}_gate) $display("{wire} %b %b", {wire}, {wire}_gate);')
        connected.append(f"{name} {name}_0 ({', '.join(pins['gold'])});")
        connected.append(f"{name}_gate {name}_1 ({', '.join(pins['gate'])});")
    bench = [
        "module bench;",
        "reg clk = 0;",
        "always #5 clk = ~clk;",
        *declared,
        *connected,
        f"initial begin repeat ({cycles}) begin",
        *drive,
        "@(negedge clk);",
        *check,
        "end $finish(0); end",
        "endmodule",
    ]
    source, model = path / "bench.v", path / "bench.vvp"
    source.write_text("\n".join([*texts, *bench]))
    subprocess.run(["iverilog", "-g2005", "-s", "bench", "-o", model, source], check=True)
    return subprocess.run(["vvp", model], capture_output=True, text=True, check=True).stdout


def variables(text: str) -> int:
    return len(re.findall(r"^ +(?:wire|reg) .*;$", text, re.MULTILINE))


def test_random_modules_keep_their_registers(tmp_path: Path) -> None:
    texts = [Random(seed).text for seed in range(200)]
    moved = [clocked(text) for text in texts]
    assert sum(old != new for old, new in zip(texts, moved, strict=True)) > 150
    # Many variables are gone, their logic joined with that of others.
    assert sum(map(variables, texts)) - sum(map(variables, moved)) > 300
    assert differences(list(zip(texts, moved, strict=True)), tmp_path) == ""


def test_a_difference_is_seen(tmp_path: Path) -> None:
    """A sum keeps its carry where more bits are wanted, and has none by itself."""
    wrong = module("  always @(posedge clk)\n    o <= a + b;\n  assign seen = a;\n")
    body = "  wire [7:0] x;\n  assign x = a + b;\n  always @(posedge clk)\n    o <= x;\n  assign seen = a;\n"
    assert "sums_o" in differences([(module(body), wrong)], tmp_path)
    assert differences([(module(body), clocked(module(body)))], tmp_path) == ""


DTYPES: tuple[Dtype, ...] = ("bf16", "int8")
BLOCKS = [
    kind(dtype=dtype, stages=stages) for kind in (PE, Adder) for dtype in DTYPES for stages in (1, 2, 3, 4)
]


def test_the_arithmetic_is_that_of_the_plain_logic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = [emit(block, None).text for block in BLOCKS]
    for kind in (PE, Adder):
        monkeypatch.setattr(kind, "clocked", False)
    plain = [emit(block, None, conversions=Conversions()).text for block in BLOCKS]
    assert all(
        "begin : step" in text for text, block in zip(moved, BLOCKS, strict=True) if block.dtype == "bf16"
    )
    assert not any("begin : step" in text for text in plain)
    assert differences(list(zip(plain, moved, strict=True)), tmp_path, undefined=False, cycles=2000) == ""


def test_of_the_arithmetic_nothing_is_left_outside() -> None:
    text = emit(PE(dtype="bf16", stages=1), None).text
    assert "assign" not in text
    assert text.count("always") == 1
