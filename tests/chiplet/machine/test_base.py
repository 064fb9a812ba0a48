"""Files of users, and the one line that a refused input is answered with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, ValidationError, model_validator

from chiplet.machine.base import MOST_BYTES, StrictModel, nearest, read_input, refusal
from chiplet.machine.calibration import Calibration
from chiplet.machine.config import load_system
from chiplet.sweep.space import load_space
from chiplet.workload.llm import load_model


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


def test_text_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("a = 'ü'\r\n".encode())
    assert read_input(path) == "a = 'ü'\r\n"
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert read_input(path, encoding="utf-8-sig") == "{}"
    path.write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        read_input(path)


def test_files_without_end_are_refused() -> None:
    endless = Path("/dev/zero")
    with pytest.raises(OSError, match=f"larger than {MOST_BYTES >> 20} MiB"):
        read_input(endless)
    message = r"^/dev/zero: cannot read the .*: larger than 64 MiB$"
    with pytest.raises(ValueError, match=message):
        load_model(endless)
    with pytest.raises(ValueError, match=message):
        Calibration.load(endless)
    with pytest.raises(ValueError, match=message):
        load_system(endless, [], preset="package")
    with pytest.raises(OSError, match="larger than 64 MiB"):
        load_space(endless)
