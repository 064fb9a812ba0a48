"""Tables and paragraphs of ``hecaton claims`` in README and docs: all of them come from one evaluation."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from chiplet.claims.study import ClaimWork
from chiplet.machine.config import load_system


@cache
def _claims() -> dict[str, Any]:
    """What ``hecaton claims --json`` prints, without the way through text: it has tens of thousands of rows."""
    return ClaimWork(load_system(None, [], preset="package")).study().model_dump()


def space_table() -> str:
    """The assumptions, their values and the sources of these."""
    lines = ["| assumption | value | source |\n", "|---|---|---|\n"]
    for entry in _claims()["assumptions"]:
        name = f"**{entry['name']}**: {entry['meaning']}"
        for choice in entry["values"]:
            lines.append(f"| {name} | {choice['value']} | {choice['source']} |\n")
            name = ""
    return "".join(lines)


def reach_table() -> str:
    """How much of the space reaches each published figure."""
    lines = [
        "| | published | like for like, reached by | of all, reached by |\n|---|---|---|---|\n",
    ]
    for verdict in _claims()["summary"]:
        claim = verdict["claim"]
        speed, energy = f"{claim['speedup']}x the speed", f"1/{claim['energy_ratio']} of the energy"
        aims = {"speed": speed, "energy": energy, "both": "both at once"}
        for reach in verdict["reach"]:
            alike = _share(reach["like_for_like_reached"], reach["like_for_like_rows"])
            every = _share(reach["reached"], reach["rows"])
            pair = f"{claim['model']}, {claim['dies']} dies ({claim['dies_status']})"
            lines.append(f"| {pair} | {aims[reach['aim']]} | {alike} | {every} |\n")
    return "".join(lines)


def effects_table() -> str:
    """How much each assumption moves the ratios."""
    summary = _claims()["summary"]
    head = "".join(f" {one['claim']['model']}: speed | energy |" for one in summary)
    by_name = [{effect["assumption"]: effect for effect in one["effects"]} for one in summary]
    lines = [f"| |{head}\n|---|{'---|---|' * len(summary)}\n"]
    for name in by_name[0]:
        cells = "".join(
            f" {_moved(found[name], 'speed')} | {_moved(found[name], 'energy')} |" for found in by_name
        )
        lines.append(f"| {name} |{cells}\n")
    return "".join(lines)


def verdict_paragraphs() -> str:
    """What the space says about each pair."""
    found = _claims()
    unfit = [row for row in found["rows"] if any(pair["reason"] for pair in row["pairs"])]
    values = sorted({row["assumptions"]["DRAM"] for row in unfit})
    texts = [verdict["text"] for verdict in found["summary"]]
    texts.append(
        f"All four figures at once are reached by {found['reached']:,} of {len(found['rows']):,} combinations. In "
        f"{len(unfit):,} a method does not fit; their DRAM is {' or '.join(values)}."
    )
    return "\n\n".join(texts) + "\n"


def claims_row() -> str:
    """For README: each pair in a line."""
    lines = [
        "| published, dies inferred | like for like, preset | like for like, reached by | of all, reached by |\n",
        "|---|---|---|---|\n",
    ]
    for verdict in _claims()["summary"]:
        claim, first, both = verdict["claim"], verdict["first"], verdict["reach"][-1]
        lines.append(
            f"| {claim['speedup']}x, 1/{claim['energy_ratio']}: {claim['model']}, {claim['dies']} dies "
            f"| {first['speedup']:.2f}x, 1/{first['energy_ratio']:.2f} "
            f"| {_share(both['like_for_like_reached'], both['like_for_like_rows'])} "
            f"| {_share(both['reached'], both['rows'])} |\n"
        )
    return "".join(lines)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%} of {whole:,}" if whole else "none fit"


def _moved(effect: dict[str, Any], aim: str) -> str:
    largest = effect[f"{aim}_largest"]
    return "1" if largest is None else f"{effect[f'{aim}_factor']:.2f} ({largest})"


CLAIM_TABLES: dict[str, Callable[[], str]] = {
    "claims": claims_row,
    "claims-space": space_table,
    "claims-reach": reach_table,
    "claims-effects": effects_table,
    "claims-verdicts": verdict_paragraphs,
}
"""Tables by the name of their place."""
