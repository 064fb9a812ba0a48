"""The rewriters of generated text refuse versions of Amaranth and Yosys that they were not tested with."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from cosim.backends.rewrite.idle_evaluation import skip_unchanged
from rtl.emit.emitter import emit
from rtl.lib.delay import Delay
from rtl.rewrite.clocked import clocked
from rtl.rewrite.tested_versions import TESTED_VERSIONS, UntestedVersionError, check_tested_versions

REWRITERS: dict[str, Callable[[], object]] = {
    "clocked registers": lambda: clocked("module m (\n);\nendmodule\n"),
    "idle evaluations": lambda: skip_unchanged(""),
    "emitter": lambda: emit(Delay(width=1, cycles=1), None),
}


def test_the_pinned_versions_are_tested_ones() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    pinned = dict(line.split("==") for line in project["project"]["dependencies"] if "==" in line)
    for package, tested in TESTED_VERSIONS.items():
        assert pinned[package] in tested
    check_tested_versions()


@pytest.mark.parametrize("package", TESTED_VERSIONS)
@pytest.mark.parametrize("rewriter", REWRITERS)
def test_other_versions_are_refused(rewriter: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = metadata.version

    def version(name: str) -> str:
        return "9.9" if name == package else installed(name)

    monkeypatch.setattr(metadata, "version", version)
    (tested,) = TESTED_VERSIONS[package]
    message = (
        f"{package} 9.9 is installed, and its output is rewritten by rules that were tested with {tested} only: "
        f"install {package}=={tested}"
    )
    with pytest.raises(UntestedVersionError, match=f"^{re.escape(message)}$"):
        REWRITERS[rewriter]()
