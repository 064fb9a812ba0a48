"""What silicon allows a die: the clock of its pipeline stages, and the SRAM banks that answer in a cycle."""
