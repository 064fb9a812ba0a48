"""Subcommands of ``hecaton cosim``."""
