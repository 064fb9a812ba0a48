"""One module for each subcommand of ``hecaton``."""
