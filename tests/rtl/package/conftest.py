"""The test against cocotbext-axi is there where the extra ``axi`` is installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("cocotbext") else ["test_cocotbext_axi.py"]
