"""The vector unit: passes over the scratchpad that compute what is not a GEMM."""
