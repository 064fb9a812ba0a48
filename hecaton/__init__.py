"""The ``hecaton`` command: arguments, tables, plots and reports, and no model code."""
