"""The checks: ``checks.toml`` as objects."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from benchmarks.accept.bounds import Bound

__all__ = ["CHECKS", "Check", "CheckError", "chosen", "load_checks"]

CHECKS = Path(__file__).with_name("checks.toml")
"""The checks of the project."""


class CheckError(ValueError):
    """The file of checks cannot be used, or a name is not that of a check."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    promise: Annotated[str, Field(min_length=1)]
    command: Annotated[str, Field(min_length=1)]
    bounds: Annotated[list[str], Field(min_length=1)]
    result: str = ""
    stderr: str = ""
    exit_code: int = 0
    long: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    check: Annotated[list[_Entry], Field(min_length=1)]


@dataclass(frozen=True)
class Check:
    """A command, and the bounds that its result has to keep.

    Attributes
    ----------
    name
        How it is chosen.
    promise
        The statement that the bounds hold it to.
    command
        Words of the command line; ``{folder}`` in one of them stands for an empty folder of this run.
    bounds
        Bounds on the result. It has the keys of the JSON object that the command prints, if it prints one.
    result
        File in the folder that holds the JSON object; empty if it is printed.
    stderr
        Regular expression that stderr has to match; its named groups are values of the result, as numbers.
    exit_code
        The exit code that is expected.
    long
        Whether it takes more than a minute on two cores, once its models are built.
    """

    name: str
    promise: str
    command: tuple[str, ...]
    bounds: tuple[Bound, ...]
    result: str = ""
    stderr: str = ""
    exit_code: int = 0
    long: bool = False


def load_checks(path: Path = CHECKS) -> list[Check]:
    """Read a file of checks.

    Raises
    ------
    CheckError
        If it is not valid TOML, an entry is not one of a check, or two have the same name.
    OSError
        If it cannot be read.
    """
    try:
        entries = _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).check
        checks = [
            Check(
                **entry.model_dump(exclude={"command", "bounds"}),
                command=tuple(shlex.split(entry.command)),
                bounds=tuple(Bound.parse(text) for text in entry.bounds),
            )
            for entry in entries
        ]
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CheckError(f"{path}: {place}: {first['msg']}") from None
    except ValueError as error:
        raise CheckError(f"{path}: {error}") from None
    names = [check.name for check in checks]
    for name in names:
        if names.count(name) > 1:
            raise CheckError(f"{path}: two checks are called {name!r}")
    return checks


def chosen(checks: Sequence[Check], names: Sequence[str]) -> list[Check]:
    """The checks with these names, in the order of the file; all if there is no name.

    Raises
    ------
    CheckError
        If a name is not that of a check.
    """
    known = {check.name for check in checks}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise CheckError(f"no check is called {unknown[0]!r}; there are {', '.join(sorted(known))}")
    return [check for check in checks if not names or check.name in names]
