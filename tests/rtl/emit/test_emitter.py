"""The emitter: one module per distinct block, stable bytes, and the behaviour that Amaranth simulates."""

from __future__ import annotations

import gc
import json
import os
import random
import re
import shutil
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Array, Cat, Module, Mux, Signal, UnusedElaboratable, Value
from amaranth.lib import data, stream
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.sim import Simulator

from rtl.block import Block, place
from rtl.emit.conversions import Conversions
from rtl.emit.emitter import EmitError, emit
from rtl.emit.yosys import YosysError
from rtl.lib.delay import Delay
from rtl.lib.rotate import Rotate
from rtl.lib.sram import Sram

PAYLOAD = data.StructLayout({"body": 8, "last": 1})


class Stage(Block):
    """A register slice of a stream that sums what passes, with names that need care on the way to Verilog."""

    elaborations = 0

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(PAYLOAD)),
                "o": Out(stream.Signature(PAYLOAD)),
                "total": Out(16),
                "unused": In(3),
            }
        )

    @property
    def block_name(self) -> str:
        return "stage"

    def elaborate(self, _platform: Any) -> Module:
        type(self).elaborations += 1
        m = Module()
        m.submodules.inner = inner = Module()  # part of this block, but a module of its own
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.eq(self.i.payload)]
        state: Value = self.i.payload.body
        for _ in range(2):
            following = Signal(8, name="state")  # two signals of one name
            nothing = Signal(range(1))  # no bits
            m.d.sync += [following.eq(state + nothing), nothing.eq(state)]
            state = following
        with inner.If(self.i.valid & self.i.ready & ~self.i.payload.last):
            inner.d.sync += self.total.eq(self.total + self.i.payload.body + state)
        return m


class Chain(Block):
    """A toy array: a row of stages, their totals rotated, stored and read back."""

    def __init__(self, *, length: int, name: str = "chain") -> None:
        self.length = length
        self.name = name
        super().__init__(
            {
                "i": In(stream.Signature(PAYLOAD)),
                "o": Out(stream.Signature(PAYLOAD)),
                "amount": In(max(1, (length - 1).bit_length())),
                "totals": Out(16 * length),
                "word": Out(16 * length),
            }
        )

    @property
    def block_name(self) -> str:
        return self.name

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        stages = [Stage() for _ in range(self.length)]
        source = flipped(self.i)
        for position, stage in enumerate(stages):
            place(m, platform, f"stage_{position}", stage)
            connect(m, source, stage.i)
            source = stage.o
        connect(m, source, flipped(self.o))

        rotate = Rotate(lanes=self.length, width=16)
        place(m, platform, "rotate", rotate)
        m.d.comb += [rotate.i.eq(Cat(stage.total for stage in stages)), rotate.amount.eq(self.amount)]

        late = Delay(width=16 * self.length, cycles=3)
        place(m, platform, "late", late)
        m.d.comb += [late.i.eq(rotate.o), self.totals.eq(late.o)]

        words = Sram(width=16 * self.length, depth=5)
        place(m, platform, "words", words)
        address = Signal(range(5))
        filled = Signal()
        shown = Signal()
        m.d.sync += [address.eq(Mux(address == 4, 0, address + 1)), shown.eq(filled)]
        with m.If(address == 4):
            m.d.sync += filled.eq(1)
        m.d.comb += [
            words.write_enable.eq(1),
            words.write_address.eq(address),
            words.write_data.eq(rotate.o),
            words.read_enable.eq(filled),
            words.read_address.eq(Mux(address == 4, 0, address + 1)),
            self.word.eq(Mux(shown, words.read_data, 0)),
        ]
        return m


class Custom(Block):
    """A block with any name, ports and body."""

    def __init__(self, name: str, members: dict[str, Any], body: Any = None, *, macro: bool = False) -> None:
        self.name = name
        self.body = body
        self.is_macro = macro
        super().__init__(members)

    @property
    def block_name(self) -> str:
        return self.name

    @property
    def macro(self) -> bool:
        return self.is_macro

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if self.body is not None:
            self.body(self, m, platform)
        return m


def run(command: list[str | Path], cwd: Path) -> str:
    """Standard output of ``command``, which must say nothing on standard error."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@contextmanager
def refused(message: str) -> Iterator[None]:
    """Expect an error in mid-elaboration, which leaves modules behind that are never used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnusedElaboratable)
        with pytest.raises(EmitError, match=message) as refusal:
            yield
        traceback.clear_frames(refusal.tb)
        gc.collect()


def simulate_amaranth(length: int, stimuli: list[tuple[int, int, int, int]]) -> list[str]:
    """Outputs of :class:`Chain` in each cycle, before the clock edge, as one line of hexadecimal numbers."""
    dut = Chain(length=length)
    seen: list[str] = []

    async def bench(ctx: Any) -> None:
        for payload, valid, ready, amount in stimuli:
            ctx.set(Value.cast(dut.i.payload), payload)
            ctx.set(dut.i.valid, valid)
            ctx.set(dut.o.ready, ready)
            ctx.set(dut.amount, amount)
            outputs = (Value.cast(dut.o.payload), dut.o.valid, dut.i.ready, dut.totals, dut.word)
            seen.append(" ".join(f"{ctx.get(value):x}" for value in outputs))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def simulate_icarus(length: int, stimuli: list[tuple[int, int, int, int]], path: Path) -> list[str]:
    """The same, out of the Verilog."""
    emit(Chain(length=length), path)
    amount_bits = max(1, (length - 1).bit_length())
    lines = "\n".join(
        f"apply({payload}, {valid}, {ready}, {amount});" for payload, valid, ready, amount in stimuli
    )
    (path / "bench.v").write_text(
        f"""`timescale 1ns/1ps
module bench;
  reg clk = 0, rst = 0, valid = 0, ready = 0;
  reg [8:0] payload = 0;
  reg [{amount_bits - 1}:0] amount = 0;
  wire [8:0] o__payload;
  wire o__valid, i__ready;
  wire [{16 * length - 1}:0] totals, word;
  chain dut (.clk(clk), .rst(rst), .i__payload(payload), .i__valid(valid), .i__ready(i__ready),
    .o__payload(o__payload), .o__valid(o__valid), .o__ready(ready), .amount(amount),
    .totals(totals), .word(word));
  task apply(input integer a, input integer b, input integer c, input integer d);
    begin
      payload = a; valid = b; ready = c; amount = d;
      #4 $display("%0h %0h %0h %0h %0h", o__payload, o__valid, i__ready, totals, word);
      #1 clk = 1;
      #5 clk = 0;
    end
  endtask
  initial begin
{lines}
    $finish;
  end
endmodule
"""
    )
    run(
        [
            "iverilog",
            "-g2012",
            "-Wall",
            "-Wno-timescale",
            "-s",
            "bench",
            "-o",
            "bench.vvp",
            "-f",
            "chain.f",
            "bench.v",
        ],
        path,
    )
    return [line for line in run(["vvp", "-n", "bench.vvp"], path).splitlines() if "$finish" not in line]


@pytest.mark.parametrize("length", [1, 2, 3, 5])
def test_icarus_and_amaranth_agree_in_every_cycle(length: int, tmp_path: Path) -> None:
    rng = random.Random(length)
    stimuli = [
        (rng.getrandbits(9), rng.random() < 0.7, rng.random() < 0.7, rng.randrange(length))
        for _ in range(150)
    ]
    cases = [(payload, int(valid), int(ready), amount) for payload, valid, ready, amount in stimuli]
    assert simulate_icarus(length, cases, tmp_path) == simulate_amaranth(length, cases)


def test_each_distinct_block_is_elaborated_and_written_once() -> None:
    before = Stage.elaborations
    emitted = emit(Chain(length=5), None, conversions=Conversions())
    assert Stage.elaborations == before + 1
    assert emitted.modules == ("stage__inner", "stage", "rotate_5x16", "delay_80x3", "sram_5x80", "chain")
    assert re.findall(r"^module (\w+)", emitted.text, re.MULTILINE) == list(emitted.modules)
    assert len(re.findall(r"^  stage stage_\d \(", emitted.text, re.MULTILINE)) == 5
    assert emitted.bytes == sum(len(part) for part in re.split(r"(?<=endmodule\n)\n", emitted.text))


def test_text_is_free_of_litter() -> None:
    text = emit(Chain(length=3), None).text
    for litter in ("always @*", "always_comb", "(*", "\\", "[-1:0]", "initial", "generator", "src", "$"):
        assert litter not in text
    assert "state_2" in text


def test_a_choice_by_index_is_a_plain_case() -> None:
    def body(block: Any, m: Module, platform: Any) -> None:
        del platform
        entries = Array(Signal(8, name=f"entry_{number}") for number in range(5))
        first, second = Signal(8), Signal(8)  # Amaranth calls the first one $signal
        m.d.sync += [first.eq(block.i), second.eq(first), entries[block.index].eq(second)]
        m.d.comb += block.o.eq(entries[block.index])

    text = emit(Custom("pick", {"i": In(8), "index": In(3), "o": Out(8)}, body), None).text
    assert "    case (s)\n" in text
    assert "parallel_case" not in text
    assert "reg [7:0] signal_2" in text


def test_ports_are_flat_and_in_order() -> None:
    text = emit(Chain(length=2), None).text
    names = ["clk", "rst", "i__payload", "i__valid", "i__ready", "o__payload", "o__valid", "o__ready"]
    for module, others in (("chain", ["amount", "totals", "word"]), ("stage", ["total", "unused"])):
        found = re.search(rf"^module {module} \((.*?)^\);", text, re.MULTILINE | re.DOTALL)
        assert found is not None
        assert re.findall(r"(\w+)(?: = .*?)?,?\n", found[1]) == names + others
    assert "  input wire [8:0] i__payload,\n" in text
    assert "  output reg [8:0] o__payload = 9'h0,\n" in text


def test_files_map_and_list(tmp_path: Path) -> None:
    configuration = {"die": {"rows": 2}}
    out = tmp_path / "new" / "verilog"
    emitted = emit(Chain(length=2), out, configuration=configuration, map={"counters": {"cycles": 0}})
    assert [path.name for path in emitted.files] == [f"{module}.v" for module in emitted.modules]
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["chain.f", "chain.json", "chain.vlt", *(path.name for path in emitted.files)]
    )
    assert (out / "chain.f").read_text().split() == [path.name for path in emitted.files]
    assert "\n".join(path.read_text() for path in emitted.files) == emitted.text
    assert emitted.bytes == sum(path.stat().st_size for path in emitted.files)
    description = json.loads((out / "chain.json").read_text())
    assert description["top"] == "chain"
    assert description["configuration"] == configuration
    assert description["counters"] == {"cycles": 0}
    assert description["modules"][-1] == {"name": "chain", "file": "chain.v", "macro": False}
    assert {"name": "i__payload", "width": 9, "direction": "input"} in description["ports"]
    assert [port["name"] for port in description["ports"]][:2] == ["clk", "rst"]


def test_the_head_depends_on_the_configuration_only() -> None:
    heads = [
        emit(Delay(width=1, cycles=1), None, configuration=configuration).text.splitlines()[0]
        for configuration in ({"a": 1}, {"a": 1}, {"a": 2})
    ]
    assert heads[0] == heads[1] != heads[2]
    assert re.fullmatch("// Generated by Hecaton; configuration [0-9a-f]{16}", heads[0])


def test_bytes_are_the_same_in_every_process(tmp_path: Path) -> None:
    script = "import sys; from pathlib import Path; from tests.rtl.emit.test_emitter import Chain, emit; "
    script += "emit(Chain(length=5), Path(sys.argv[1]))"
    contents = []
    for seed in ("1", "2"):
        out = tmp_path / seed
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(
            [sys.executable, "-c", script, out], env=environment, check=True, cwd=Path(__file__).parents[3]
        )
        contents.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert contents[0] == contents[1]
    assert len(contents[0]) == 9


@pytest.mark.parametrize("length", [1, 3])
def test_other_tools_read_it_without_a_warning(length: int, tmp_path: Path) -> None:
    emit(Chain(length=length), tmp_path)
    assert run(["iverilog", "-g2012", "-Wall", "-t", "null", "-f", "chain.f"], tmp_path) == ""
    if shutil.which("verilator"):
        # Unused bits and operands of unequal widths are no fault: ports belong to interfaces, sums drop their
        # carry, and Verilog extends the shorter operand.
        lint: list[str | Path] = ["verilator", "--lint-only", "-Wall", "-Wno-UNUSEDSIGNAL", "-Wno-WIDTH"]
        run([*lint, "--top-module", "chain", "-f", "chain.f"], tmp_path)
    if shutil.which("yosys"):
        script = "read_verilog stage__inner.v stage.v rotate_*.v delay_*.v sram_*.v chain.v; "
        script += "hierarchy -check -top chain; proc; check -assert"
        run(["yosys", "-q", "-p", script], tmp_path)


def test_a_block_without_logic_is_no_black_box() -> None:
    def wire(block: Any, m: Module, platform: Any) -> None:
        del platform
        m.d.comb += block.o.eq(block.i)

    def wires(block: Any, m: Module, platform: Any) -> None:
        inner = Custom("wire_4", {"i": In(4), "o": Out(4)}, wire)
        place(m, platform, "inner", inner)
        m.d.comb += [inner.i.eq(block.i), block.o.eq(inner.o)]

    text = emit(Custom("wires", {"i": In(4), "o": Out(4)}, wires), None).text
    assert (
        "module wire_4 (\n  input wire [3:0] i,\n  output wire [3:0] o\n);\n  assign o = i;\nendmodule"
        in text
    )
    assert "module wires (\n" in text


def test_macros_are_marked(tmp_path: Path) -> None:
    def user(block: Any, m: Module, platform: Any) -> None:
        macro = Sram(width=4, depth=8, macro=True)
        place(m, platform, "words", macro)
        m.d.comb += [macro.read_enable.eq(1), macro.read_address.eq(block.i), block.o.eq(macro.read_data)]

    emitted = emit(Custom("user", {"i": In(3), "o": Out(4)}, user), tmp_path)
    assert ".clk(clk)" in emitted.text
    assert json.loads((tmp_path / "user.json").read_text())["modules"] == [
        {"name": "sram_8x4", "file": "sram_8x4.v", "macro": True},
        {"name": "user", "file": "user.v", "macro": False},
    ]


def test_signals_to_be_kept_keep_their_names() -> None:
    def body(block: Any, m: Module, platform: Any) -> None:
        del platform
        counter = Signal(4, attrs={"keep": 1})
        again = Signal(4, attrs={"keep": 1})
        m.d.sync += counter.eq(counter + 1)
        m.d.comb += [again.eq(counter), block.o.eq(counter)]

    text = emit(Custom("counting", {"o": Out(4)}, body), None).text
    assert "counter" in text
    assert "again" in text


def test_blocks_of_one_name_and_other_parameters_are_all_emitted() -> None:
    def invert(block: Any, m: Module, platform: Any) -> None:
        del platform
        m.d.comb += block.o.eq(~block.i)

    def body(block: Any, m: Module, platform: Any) -> None:
        for name, width in (("a", 1), ("b", 2), ("c", 1)):
            inner = Custom("same", {"i": In(width), "o": Out(width)}, invert)
            place(m, platform, name, inner)
            m.d.comb += [inner.i.eq(block.i), getattr(block, f"{name}_o").eq(inner.o)]

    def top() -> Custom:
        return Custom("top", {"i": In(2), "a_o": Out(1), "b_o": Out(2), "c_o": Out(1)}, body)

    emitted = emit(top(), None)
    first, second, last = emitted.modules
    assert (first, last) == ("same", "top")
    assert re.fullmatch("same_[0-9a-f]{8}", second)
    instances = re.findall(r"^  (\w+) (a|b|c) \(", emitted.text, re.MULTILINE)
    assert sorted(instances, key=lambda pair: pair[1]) == [(first, "a"), (second, "b"), (first, "c")]
    assert emitted.modules == emit(top(), None).modules


class Other(Custom):
    """Another class of blocks."""


@pytest.mark.parametrize(
    ("other_class", "macros"),
    [(Custom, (True, False)), (Custom, (False, True)), (Custom, (True, True)), (Other, (False, False))],
)
def test_a_name_of_two_classes_or_of_macros_is_refused(other_class: type, macros: tuple[bool, bool]) -> None:
    def body(block: Any, m: Module, platform: Any) -> None:
        del block
        place(m, platform, "a", Custom("same", {"i": In(1)}, macro=macros[0]))
        place(m, platform, "b", other_class("same", {"i": In(2)}, macro=macros[1]))

    with refused(r"^two different blocks are named same: .*\) and .*\): must have different names$"):
        emit(Custom("top", {}, body), None)


def test_a_block_that_contains_itself_is_refused() -> None:
    def body(block: Any, m: Module, platform: Any) -> None:
        del block
        place(m, platform, "again", Custom("top", {}, body))

    with refused(r"^block top contains itself: top -> top$"):
        emit(Custom("top", {}, body), None)


def test_memory_contents_are_refused() -> None:
    def body(block: Any, m: Module, platform: Any) -> None:
        del platform
        m.submodules.words = words = Memory(shape=4, depth=4, init=[0, 1])
        m.d.comb += block.o.eq(words.read_port(domain="comb").data)

    with refused(r"^a memory in block top has initial contents: must have none$"):
        emit(Custom("top", {"o": Out(4)}, body), None)


def test_reserved_names_are_refused() -> None:
    with pytest.raises(EmitError, match=r"^block top: port name clk is reserved for the clock domain$"):
        emit(Custom("top", {"clk": In(1)}), None)
    with pytest.raises(
        EmitError, match=r"^map entry 'ports' is reserved: must be none of top, configuration, "
    ):
        emit(Delay(width=1, cycles=0), None, map={"ports": 1})


def test_keywords_are_refused_as_names() -> None:
    with pytest.raises(YosysError, match=r"^top: the name reg is a keyword of Verilog: must be none$"):
        emit(Custom("top", {"reg": In(1)}), None)


def test_a_top_without_ports() -> None:
    assert "module top();\nendmodule" in emit(Custom("top", {}), None).text


def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes = Path.write_bytes

    def failing(self: Path, content: bytes) -> int:
        if "stage.v" in self.name:
            raise OSError("disk full")
        return write_bytes(self, content)

    monkeypatch.setattr(Path, "write_bytes", failing)
    with pytest.raises(OSError, match="disk full"):
        emit(Chain(length=2), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_observed_blocks_stay_modules_of_their_own() -> None:
    class Observed(Stage):
        @property
        def observed(self) -> bool:
            return True

    plain, marked = emit(Stage(), None), emit(Observed(), None)
    head = f"module \\{plain.top}\n"
    assert marked.rtlil == plain.rtlil.replace(head, "attribute \\keep_hierarchy 1\n" + head)
    assert marked.text == plain.text
