"""What silicon allows a die: reports of synthesis, clocks of its stages, and SRAM banks that answer in a cycle."""
