"""The demo: every stage from Verilog to projection."""
