"""What software, benches and neighbouring blocks see: instructions, registers, flits, ports and limits."""
