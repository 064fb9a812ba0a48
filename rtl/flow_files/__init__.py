"""What the flows of other people need beside the Verilog: a FuseSoC core, registers as SystemRDL, SRAMs, a bench"""
