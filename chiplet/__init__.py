"""The machine and its work: specifications, workloads, distribution methods and projection."""
