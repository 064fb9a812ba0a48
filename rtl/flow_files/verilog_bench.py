"""A bench in plain Verilog that checks itself.

A die or a package is idle after a reset, says so in its registers, keeps what software writes to them, and ends an
empty program.

It asks for no memory: whatever offers a request or an answer must stay still. The registers, with their fields and
reset values, are those of the SystemRDL.
"""

from __future__ import annotations

from collections.abc import Iterator

from rtl.emit.emitter import TIMESCALE
from rtl.flow_files.system_rdl import counters_of, registers_of
from rtl.interface.register_fields import REGISTER_BITS, Access
from rtl.interface.register_map import ADDRESS_BITS, CONTROL, PROGRAM, REGISTERS, STATUS, counter_address
from rtl.synthesis.constraints import CLOCK, RESET
from rtl.synthesis.module_tree import ModuleText

__all__ = ["bench_name", "verilog_bench"]

RESET_CYCLES = 3
IDLE_CYCLES = 64
"""Cycles after the reset in which nothing may happen before the registers are read."""
MOST_CYCLES = 1000
"""Cycles after which an empty program must have ended."""
PATTERN = 0xA5C3_5A3C
DONE = 2
"""Status of a program that has ended without an error."""

_HOST = ("host_die", "host_all", "host_address", "host_write", "host_write_data", "host_read")

_TASKS = f"""\
  task fail;
    begin
      $display("FAIL: die %0d, address %h: %h, must be %h", die, address, got, must);
      $fatal(1, "the check failed");
    end
  endtask

  // Inputs change away from the rising edge, as those of a register behind it do.
  task read;
    input [{ADDRESS_BITS - 1}:0] register;
    begin
      address = register;
      @(negedge clk);
      host_address = register;
      host_read = 1'b1;
      @(negedge clk);
      host_read = 1'b0;
      got = host_read_data;
    end
  endtask

  task write;
    input [{ADDRESS_BITS - 1}:0] register;
    input [{REGISTER_BITS - 1}:0] value;
    begin
      @(negedge clk);
      host_address = register;
      host_write_data = value;
      host_write = 1'b1;
      @(negedge clk);
      host_write = 1'b0;
    end
  endtask

  task check;
    input [{ADDRESS_BITS - 1}:0] register;
    input [{REGISTER_BITS - 1}:0] bits;
    input [{REGISTER_BITS - 1}:0] value;
    begin
      read(register);
      got = got & bits;
      must = value;
      if (got !== must)
        fail;
    end
  endtask

  task check_pins;
    input is_done;
    begin
      if (done !== is_done || error !== 1'b0) begin
        $display("FAIL: done %b, error %b: must be %b and 0", done, error, is_done);
        $fatal(1, "the check failed");
      end
    end
  endtask

  task reset;
    begin
      @(negedge clk);
      rst = 1'b1;
      repeat ({RESET_CYCLES}) @(negedge clk);
      rst = 1'b0;
      started = 1'b1;
      repeat ({IDLE_CYCLES}) @(negedge clk);
    end
  endtask
"""


def bench_name(top: str) -> str:
    """Name of the module of the bench."""
    return f"{top}_tb"


def verilog_bench(head: str, top: ModuleText, *, dies: int | None) -> str:
    """The bench. It ends with ``$finish`` and a line ``PASS``, or with ``$fatal`` at the first check that fails.

    Parameters
    ----------
    head
        First line, a comment.
    top
        The top module.
    dies
        Dies of a package; None for a die alone.
    """
    offers = [name for name, way, _ in top.ports if way == "output" and name.endswith("valid")]
    return "\n".join(
        [
            head.rstrip("\n"),
            f"`timescale {TIMESCALE[0]} / {TIMESCALE[1]}",
            f"module {bench_name(top.name)};",
            *_signals(top),
            "  integer die;",
            f"  reg [{ADDRESS_BITS - 1}:0] address;",
            f"  reg [{REGISTER_BITS - 1}:0] got;",
            f"  reg [{REGISTER_BITS - 1}:0] must;",
            "  reg started = 1'b0;  // there was a reset",
            "",
            "  always #5 clk = ~clk;",
            "",
            f"  wire [{len(offers) - 1}:0] offers = {{{', '.join(offers)}}};",
            "  always @(negedge clk)",
            "    if (started && offers !== 0) begin",
            '      $display("FAIL: offers %b: must be none", offers);',
            '      $fatal(1, "the check failed");',
            "    end",
            "",
            _TASKS,
            *_checks(top.name, dies),
            "endmodule",
            "",
        ]
    )


def _signals(top: ModuleText) -> Iterator[str]:
    """Signals at the ports, and the design: the host port and the reset are driven, other inputs are 0."""
    driven = {CLOCK, RESET, *_HOST}
    for name, way, bits in top.ports:
        of_bits = f"[{bits - 1}:0] " if bits > 1 else ""
        if way == "output":
            yield f"  wire {of_bits}{name};"
        elif name in driven:
            yield f"  reg {of_bits}{name} = {bits}'{'b1' if name == RESET else 'b0'};"
    yield f"  {top.name} dut ("
    for number, (name, way, bits) in enumerate(top.ports):
        value = name if way == "output" or name in driven else f"{bits}'b0"
        yield f"    .{name}({value}){',' if number + 1 < len(top.ports) else ''}"
    yield "  );"


def _checks(top: str, dies: int | None) -> Iterator[str]:
    yield "  initial begin"
    yield from _lines("die = 0;", "reset;", "check_pins(1'b0);")
    yield from _after_reset(dies)
    yield from _kept(dies)
    if dies is not None:
        yield from _each_die(dies)
    yield from _empty_program(dies)
    yield from _lines("// A reset makes it idle again.", "reset;", "check_pins(1'b0);")
    yield from _after_reset(dies)
    yield from _lines(f'$display("PASS: {top}");', "$finish;")
    yield "  end"


def _lines(*lines: str, indent: int = 4) -> Iterator[str]:
    for line in lines:
        yield f"{' ' * indent}{line}"


def _after_reset(dies: int | None) -> Iterator[str]:
    """Registers hold their reset values: those of the first die, as dies are one module."""
    engine = dies is not None
    for name, fields in registers_of(engine=engine).items():
        bits, value = (1 << REGISTER_BITS) - 1, 0
        for field in fields:
            if field.reset is None:
                bits &= ~field.mask
            elif field.access is not Access.WRITE:
                value |= field.reset << field.bit
        yield from _lines(f"{_call('check', REGISTERS[name][0], bits, value)}  // {name}")
    for name in counters_of(engine=engine):
        low = counter_address(name)
        for half, address in (("low", low), ("high", low + 1)):
            yield from _lines(f"{_call('check', address, (1 << REGISTER_BITS) - 1, 0)}  // {name}, {half}")


def _kept(dies: int | None) -> Iterator[str]:
    """Registers that software writes keep what it wrote; the others, and bits without a field, do not."""
    written = {
        name: sum(field.mask for field in fields if field.access is Access.READ_WRITE)
        for name, fields in registers_of(engine=dies is not None).items()
        if all(field.access in (Access.READ_WRITE, Access.READ) for field in fields)
    }
    whole = (1 << REGISTER_BITS) - 1
    for pattern in (PATTERN, PATTERN ^ whole):
        for name in written:
            yield from _lines(f"{_call('write', REGISTERS[name][0], pattern)}  // {name}")
        for name, bits in written.items():
            yield from _lines(_call("check", REGISTERS[name][0], whole, pattern & bits))


def _each_die(dies: int) -> Iterator[str]:
    """Each die has registers of its own, and a write to all reaches each."""
    program = f"{ADDRESS_BITS}'h{PROGRAM:02x}"
    whole = f"{REGISTER_BITS}'h{(1 << REGISTER_BITS) - 1:x}"
    loop = f"for (die = 0; die < {dies}; die = die + 1) begin"
    yield from _lines(loop, "  host_die = die;", f"  write({program}, die + 1);", "end")
    yield from _lines(loop, "  host_die = die;", f"  check({program}, {whole}, die + 1);", "end")
    yield from _lines(
        "host_all = 1'b1;", _call("write", PROGRAM, PATTERN), _call("write", REGISTERS["commands"][0], 0)
    )
    yield from _lines("host_all = 1'b0;", loop, "  host_die = die;")
    yield from _lines(f"  check({program}, {whole}, {REGISTER_BITS}'h{PATTERN:x});", "end")
    yield from _lines("die = 0;", "host_die = 0;")


def _empty_program(dies: int | None) -> Iterator[str]:
    """A program without commands ends at once, and the die counts its cycles."""
    whole = (1 << REGISTER_BITS) - 1
    yield from _lines("// A program without commands ends.", _call("write", REGISTERS["commands"][0], 0))
    if dies is not None:
        yield from _lines("host_all = 1'b1;")
    yield from _lines(_call("write", CONTROL, 1))
    if dies is not None:
        yield from _lines("host_all = 1'b0;")
    cycles = f"{ADDRESS_BITS}'h{counter_address('cycles'):02x}"
    yield from _lines(
        "must = 0;",
        f"while (done !== 1'b1 && must < {MOST_CYCLES}) begin",
        "  @(negedge clk);",
        "  must = must + 1;",
        "end",
        "check_pins(1'b1);",
        _call("check", STATUS, 7, DONE),
        _call("check", counter_address("commands_out"), whole, 0),
        f"read({cycles});",
        f"if (!(got > 0 && got <= {MOST_CYCLES})) begin",
        f'  $display("FAIL: %0d cycles: must be 1 to {MOST_CYCLES}", got);',
        '  $fatal(1, "the check failed");',
        "end",
    )


def _call(task: str, address: int, *values: int) -> str:
    arguments = [f"{ADDRESS_BITS}'h{address:02x}", *(f"{REGISTER_BITS}'h{value:x}" for value in values)]
    return f"{task}({', '.join(arguments)});"
