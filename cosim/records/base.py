"""Requests of runs: their values are checked before anything is run."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["Model", "checked"]

Request = TypeVar("Request", bound=BaseModel)


class Model(BaseModel):
    """Base of requests and records: immutable, unknown fields refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def checked(kind: type[Request], fields: dict[str, Any]) -> Request:
    """Return ``kind(**fields)``. Raises ValueError, in one line, for a value that is out of range."""
    try:
        return kind(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise ValueError(f"{name} = {first['input']!r}: {first['msg'].lower()}") from None
