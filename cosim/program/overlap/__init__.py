"""Token tiles of a GEMM on a package: all-gather, GEMM and reduce-scatter of different tiles at the same time."""
