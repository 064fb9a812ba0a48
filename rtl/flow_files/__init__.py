"""What the flows of other people need beside the Verilog: FuseSoC core, SystemRDL, SRAMs, a bench."""
