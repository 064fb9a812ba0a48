"""Settings of all tests: the same examples in every run, no time limit on one of them, interrupts that arrive, and one
cache for what they build."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from cosim.backends.compiler import flags_variable

# A shell starts what it runs in the background with interrupts ignored, and so would be whatever the tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

QUICK_BUILDS = {"cxxrtl": "-O0 -D__always_inline__=__unused__", "verilator": "-O0"}
"""Flags with which g++ builds a model in half the time; short runs take little longer with it."""

settings.register_profile("hecaton", derandomize=True, deadline=None)
settings.load_profile("hecaton")


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Built models go to a cache of the session, which all of its workers share: most of the time is spent building.

    They are built with little optimization, but for the tests of a backend's own flags.
    """
    session = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        session = session.parent
    folder = session / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HECATON_CACHE", str(folder))
        for backend, flags in QUICK_BUILDS.items():
            variable = flags_variable(backend)
            patch.setenv(variable, os.environ.get(variable, flags))
        yield folder
