"""Models from TOML: presets that come with the package, or files of the user."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from chiplet.machine.base import StrictModel, read_input, refusal
from chiplet.machine.configuration_keys import show_value

__all__ = ["load_preset", "preset_names"]

_Model = TypeVar("_Model", bound=StrictModel)

_FOLDERS = {"machine": "machines", "runs": "runs"}
"""Folders of the presets by what they are."""


def preset_names(what: str) -> list[str]:
    """Names of the presets of a kind: ``machine`` or ``runs``."""
    folder = resources.files("chiplet") / "presets" / _FOLDERS[what]
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def load_preset(what: str, name: str | Path, model: type[_Model]) -> _Model:
    """The preset called ``name``, or what is in the TOML file at that path; ``what`` as in :func:`preset_names`.

    Raises ``ValueError``, in one line, for a file that is missing, is not TOML, or has an unknown or wrong key.
    """
    path, known = Path(name), preset_names(what)
    if str(name) in known:
        file = resources.files("chiplet") / "presets" / _FOLDERS[what] / f"{name}.toml"
        text = file.read_text(encoding="utf-8")
    elif path.suffix != ".toml":
        raise ValueError(f"unknown {what} {str(name)!r}: must be one of {', '.join(known)}, or a TOML file")
    else:
        try:
            text = read_input(path)
        except OSError as error:
            raise ValueError(f"{path}: cannot read the {what}: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{path}: not a TOML file: byte {error.start} is not UTF-8") from None
    try:
        return model.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise ValueError(f"{name}: {refusal(error, model, show=show_value)}") from None
    except ValueError as error:
        raise ValueError(f"{name}: not valid TOML: {error}") from None
