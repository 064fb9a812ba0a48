"""Everything that becomes Verilog: the compute die, the package and their benches."""
