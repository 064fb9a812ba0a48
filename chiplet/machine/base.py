"""The base of all models of the project, the text of files of users, and what is said about input that is refused."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LONGEST_VALUE = 60
"""Characters of a refused value, or of an unknown key, that a message shows."""

MOST_BYTES = 64 * 2**20
"""Largest file that is read: no configuration, model or calibration has megabytes, and a device has no end."""

_PART_BYTES = 2**16


class StrictModel(BaseModel):
    """Base of specifications, results, requests and records: immutable, unknown keys refused, no silent type
    conversion.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, validate_default=True)


def read_input(path: Path, *, encoding: str = "utf-8") -> str:
    """The text of the file at ``path``.

    Raises
    ------
    OSError
        If it cannot be read, or has more than :data:`MOST_BYTES`.
    UnicodeDecodeError
        If it is not text in ``encoding``.
    """
    content = bytearray()
    with path.open("rb") as file:
        while part := file.read(_PART_BYTES):
            content += part
            if len(content) > MOST_BYTES:
                raise OSError(errno.EFBIG, f"larger than {MOST_BYTES >> 20} MiB", str(path))
    return content.decode(encoding)


def nearest(name: str, candidates: Iterable[str]) -> str:
    """The candidate that reads most like ``name``; the first of ``candidates`` when nothing resembles it."""
    names = list(candidates)
    matches = difflib.get_close_matches(name, names, n=1, cutoff=0.0)
    return matches[0] if matches else names[0]


def refusal(
    error: ValidationError | ErrorDetails,
    model: type[BaseModel] | None = None,
    *,
    show: Callable[[object], str] = repr,
) -> str:
    """The first failure of ``error`` in one line: where, which value, and what is allowed.

    Parameters
    ----------
    error
        What pydantic raised, or one of its failures.
    model
        The model that was validated: an unknown key is then answered with the nearest known one.
    show
        How a value is written.
    """
    first: Any = error.errors(include_url=False)[0] if isinstance(error, ValidationError) else error
    path = [str(part) for part in first["loc"]]
    place = ".".join(path)[:LONGEST_VALUE]
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _keys_at(model, path[:-1])
        if not known:
            return f"unknown key {place}"
        best = ".".join([*path[:-1], nearest(path[-1], known)])
        return f"unknown key {place}: the nearest known one is {best}"
    if first["type"] == "missing":
        return f"{place} is missing"
    reason = " ".join(str(first["ctx"]["error"] if first["type"] == "value_error" else first["msg"]).split())
    if not place:
        return reason
    value = first["input"]
    if isinstance(value, (BaseModel, Mapping)):
        return f"{place}: {reason}"
    shown = show(value)
    if len(shown) > LONGEST_VALUE:
        shown = shown[: LONGEST_VALUE - 3] + "..."
    return f"{place} = {shown}: {reason[:1].lower()}{reason[1:]}"


def _keys_at(model: type[BaseModel] | None, path: Sequence[str]) -> list[str]:
    """The keys of the section ``path`` of ``model``; none if the path leads through anything but sections."""
    section: Any = model
    for name in path:
        field = section.model_fields.get(name) if _is_model(section) else None
        choices = () if field is None else (field.annotation, *get_args(field.annotation))
        section = next((item for item in choices if _is_model(item) or is_dataclass(item)), None)
    if _is_model(section):
        return list(section.model_fields)
    return [field.name for field in fields(section)] if is_dataclass(section) else []


def _is_model(item: object) -> bool:
    return isinstance(item, type) and issubclass(item, BaseModel)
