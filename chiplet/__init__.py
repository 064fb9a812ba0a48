"""The machine and its work: specifications, workloads, distribution methods and the projection of a package."""
