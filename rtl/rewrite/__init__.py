"""Rewriters of the Verilog that Yosys writes."""
