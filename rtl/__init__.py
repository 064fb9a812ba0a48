"""Everything that becomes Verilog: arithmetic, array, buffers, vector unit, router, link, die, package, emitter."""
