"""The one line that a refused input is answered with."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field, ValidationError, model_validator

from chiplet.machine.base import StrictModel, nearest, refusal


class Inner(StrictModel):
    size: Annotated[int, Field(ge=1)] = 1
    name: str = ""

    @model_validator(mode="after")
    def _named(self) -> Inner:
        if self.size == 7:
            raise ValueError("size = 7 cannot be")
        return self


class Outer(StrictModel):
    inner: Inner = Field(default_factory=Inner)
    ratio: float
    lists: tuple[Inner, ...] = ()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "ratio is missing"),
        ({"ratio": "x"}, "ratio = 'x': input should be a valid number"),
        ({"ratio": 1.0, "ration": 1}, "unknown key ration: the nearest known one is ratio"),
        ({"ratio": 1.0, "inner": {"sise": 1}}, "unknown key inner.sise: the nearest known one is inner.size"),
        ({"ratio": 1.0, "lists": ({"sise": 1},)}, "unknown key lists.0.sise"),
        ({"ratio": 1.0, "inner": {"size": 0}}, "inner.size = 0: input should be greater than or equal to 1"),
        ({"ratio": 1.0, "inner": {"size": True}}, "inner.size = True: input should be a valid integer"),
        ({"ratio": 1.0, "inner": {"size": 7}}, "inner: size = 7 cannot be"),
        (
            {"ratio": "a\n" * 40},
            "ratio = 'a\\na\\na",
        ),
    ],
)
def test_a_refusal_is_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as error:
        Outer.model_validate(values)
    line = refusal(error.value, Outer)
    assert line.startswith(message)
    assert "\n" not in line


def test_without_the_model_no_key_is_suggested() -> None:
    with pytest.raises(ValidationError) as error:
        Outer.model_validate({"ratio": 1.0, "ration": 1})
    assert refusal(error.value) == "unknown key ration"


def test_the_root_has_no_place_and_values_are_shown_as_asked() -> None:
    with pytest.raises(ValidationError) as error:
        Inner.model_validate({"size": 7})
    assert refusal(error.value, Inner) == "size = 7 cannot be"
    with pytest.raises(ValidationError) as error:
        Inner.model_validate({"size": "many"})
    assert refusal(error.value, Inner, show=lambda value: f"<{value}>").startswith("size = <many>: ")


def test_the_nearest_of_nothing_alike_is_the_first() -> None:
    assert nearest("", ["rows", "cols"]) in ("rows", "cols")
    assert nearest("colz", ["rows", "cols"]) == "cols"
