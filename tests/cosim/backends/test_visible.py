"""Benches see memories and the one-bit ports of observed blocks."""

from __future__ import annotations

from dataclasses import dataclass

from cosim.backends.visible import visible_names

TEXT = """\
module unit (
  input wire clk,
  input wire [7:0] command,
  output reg busy
);
  reg state = 1'h0;
endmodule

module other (
  input wire clk
);
  reg [7:0] mem [15:0];
  reg one [15:0];
endmodule
"""


@dataclass(frozen=True)
class Source:
    top: str = "other"
    text: str = TEXT
    rtlil: str = "attribute \\keep_hierarchy 1\nmodule \\unit\nend\nmodule \\other\nend\n"


def test_what_is_visible() -> None:
    assert visible_names(Source()).splitlines() == [
        "`verilator_config",
        'public_flat_rd -module "unit" -var "clk"',
        'public_flat_rd -module "unit" -var "busy"',
        'public_flat_rw -module "other" -var "mem"',
        'public_flat_rw -module "other" -var "one"',
    ]
