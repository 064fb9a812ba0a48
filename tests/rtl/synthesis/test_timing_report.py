"""What OpenSTA prints is read: paths with their steps, and loops."""

from __future__ import annotations

from rtl.synthesis.timing_report import PathStep, parse_loops, parse_paths, sections

PRINTED = """\
OpenSTA 2.0.17 GITDIR-NOT Copyright (c) 2019, Parallax Software, Inc.
=== loops
Warning: There are 2 combinational loops in the design.
  u/Y
  s/i/A
  s/i/Y
  u/B
  | loop cut point
  u/Y
  --------------------------------
  u2/Y
  s2/A
  | loop cut point
  u2/Y
  --------------------------------
=== registers
Startpoint: part_1/second[2]_reg (rising edge-triggered flip-flop clocked by clk)
Endpoint: words (rising edge-triggered flip-flop clocked by clk)
Path Group: clk
Path Type: max

     Delay       Time   Description
---------------------------------------------------------------
     0.000      0.000   clock clk (rise edge)
     0.000      0.000   clock network delay (ideal)
     0.000      0.000 ^ part_1/second[2]_reg/CK (DFF)
    40.000     40.000 v part_1/second[2]_reg/Q (DFF)
     0.000     40.000 v part_2/_05_/A (INV)
     7.125     47.125 ^ part_2/_05_/Y (INV)
     0.000     47.125 ^ words/write_data[2] (sram_4x3)
                47.125   data arrival time

  1000.000   1000.000   clock clk (rise edge)
     0.000   1000.000   clock network delay (ideal)
     0.000   1000.000   clock reconvergence pessimism
             1000.000 ^ words/clk (sram_4x3)
   -80.000    920.000   library setup time
              920.000   data required time
---------------------------------------------------------------
              920.000   data required time
              -47.125   data arrival time
---------------------------------------------------------------
              872.875   slack (MET)


=== from_inputs
No paths found.
=== to_outputs
Startpoint: f (rising edge-triggered flip-flop clocked by clk)
Endpoint: y (output port clocked by clk)
Path Group: to_outputs
Path Type: max

   Delay      Time   Description
-------------------------------------------------------------
   0.000     0.000   clock clk (rise edge)
   0.000     0.000   clock network delay (ideal)
   0.000     0.000 ^ f/CK (DFF)
  40.300    40.300 ^ f/Q (DFF)
   0.000    40.300 ^ y (out)
            40.300   data arrival time

   30.000    30.000   clock clk (rise edge)
   0.000    30.000   output external delay
            30.000   data required time
-------------------------------------------------------------
            30.000   data required time
           -40.300   data arrival time
-------------------------------------------------------------
            -10.300   slack (VIOLATED)
"""


def test_a_path_between_registers() -> None:
    (path,) = parse_paths(sections(PRINTED)["registers"])
    assert (path.arrival, path.setup, path.slack) == (47.125, 80.0, 872.875)
    assert path.steps == (
        PathStep("part_1/second[2]_reg/CK", "DFF", 0.0),
        PathStep("part_1/second[2]_reg/Q", "DFF", 40.0),
        PathStep("part_2/_05_/A", "INV", 0.0),
        PathStep("part_2/_05_/Y", "INV", 7.125),
        PathStep("words/write_data[2]", "sram_4x3", 0.0),
    )
    assert [step.instance for step in path.steps][-2:] == ["part_2/_05_", "words"]


def test_a_path_to_an_output_needs_no_setup() -> None:
    (path,) = parse_paths(sections(PRINTED)["to_outputs"])
    assert (path.arrival, path.setup, path.slack) == (40.3, 0.0, -10.3)
    assert path.steps[-1] == PathStep("y", "out", 0.0)
    assert path.steps[-1].instance == "y"


def test_groups_without_paths_have_none() -> None:
    assert list(parse_paths(sections(PRINTED)["from_inputs"])) == []


def test_loops_are_listed_pin_by_pin() -> None:
    assert parse_loops(sections(PRINTED)["loops"]) == [
        ["u/Y", "s/i/A", "s/i/Y", "u/B", "u/Y"],
        ["u2/Y", "s2/A", "u2/Y"],
    ]
    assert parse_loops("") == []
