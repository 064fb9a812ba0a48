"""The workload: language models, and the operations of their layers."""
