"""From blocks to Verilog."""
