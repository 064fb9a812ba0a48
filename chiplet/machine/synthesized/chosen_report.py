"""Silicon reports of a command: those that come with the package, those in files, and the one that speaks of a die."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from pydantic import ValidationError

from chiplet.machine.base import read_input, refusal
from chiplet.machine.specs import SystemSpec
from chiplet.machine.synthesized.silicon_report import SiliconReport, keys_of_logic

__all__ = ["check_reports", "load_report", "report_for", "report_names"]

_FOLDER = "silicon"


def report_names() -> list[str]:
    """Names of the reports that come with the package, sorted."""
    folder = resources.files("chiplet") / "presets" / _FOLDER
    return sorted(item.name.removesuffix(".json") for item in folder.iterdir() if item.name.endswith(".json"))


def load_report(name: str | Path) -> SiliconReport:
    """The report that comes with the package under ``name``, or the one in the file at that path.

    Raises ``ValueError``, in one line, if it is missing or broken.
    """
    names = report_names()
    if str(name) in names:
        file = resources.files("chiplet") / "presets" / _FOLDER / f"{name}.json"
        text = file.read_text(encoding="utf-8")
    elif Path(name).suffix != ".json":
        raise ValueError(f"{name}: no silicon report: must be one of {', '.join(names)}, or a JSON file")
    else:
        try:
            text = read_input(Path(name))
        except OSError as error:
            raise ValueError(f"{name}: cannot read the silicon report: {error.strerror}") from None
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}: not a silicon report: byte {error.start} is not UTF-8") from None
    try:
        return SiliconReport.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(f"{name}: not a silicon report: {refusal(error, SiliconReport)}") from None


def check_reports(reports: Sequence[SiliconReport]) -> None:
    """Raise ``ValueError``, in one line, if two of them are of the same die."""
    for place, report in enumerate(reports):
        for other in reports[:place]:
            if other.speaks_of() == report.speaks_of():
                raise ValueError(
                    f"two silicon reports of dies with die.dtype = {report.die.dtype}, die.stages = "
                    f"{report.die.stages}: give one of them"
                )


def report_for(reports: Sequence[SiliconReport], system: SystemSpec) -> SiliconReport | None:
    """The one of ``reports`` that speaks of the die of ``system``; None if there are none at all.

    Raises ``ValueError``, in one line, if none speaks of it, naming the first key that differs and both values.
    """
    refusals = []
    for report in reports:
        found = report.refusal(system)
        if found is None:
            return report
        refusals.append(found)
    if not refusals:
        return None
    # Of several the nearest: that which differs in a later key.
    order = list(keys_of_logic(system.die, system.memory, system.vector))
    key = max((found[0] for found in refusals), key=lambda name: order.index(name) if name in order else -1)
    made_for = " or ".join(dict.fromkeys(str(found[1]) for found in refusals if found[0] == key))
    asked_for = next(found[2] for found in refusals if found[0] == key)
    raise ValueError(
        f"the silicon report was made for a die with {key} = {made_for}, not {asked_for}: give a report of this die or "
        "project that one"
    )
