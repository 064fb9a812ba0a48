"""``python -m hecaton`` is the ``hecaton`` command."""

from hecaton.cli import main

main()
