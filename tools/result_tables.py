"""Tables of results in README and docs: their figures come from the commands that they name.

A page has a place for a table: what is between ``<!-- begin NAME (make docs) -->`` and ``<!-- end NAME -->``.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from chiplet.studies.likeness import differences
from hecaton.cli import run
from hecaton.terminal.tables import quantity

PRESETS = Path(__file__).resolve().parent.parent / "chiplet" / "presets"

COMPARED = "hecaton compare --model llama3.1-405b --dies 1024"

LIKE_FOR_LIKE = (
    ("both overlapped", "both ways", "--switch flat-ring.gather_again=true"),
    ("neither overlapped", "both ways", "--switch overlap=false --switch flat-ring.gather_again=true"),
    (
        "neither overlapped",
        "one way",
        "--switch overlap=false --switch flat-ring.direction=one --switch flat-ring.gather_again=true",
    ),
)
"""Comparisons with the same overlap, and inputs of the backward pass that are gathered again by both."""

UNLIKE = (
    (
        "only Hecaton overlapped",
        "one way",
        "--switch flat-ring.overlap=false --switch flat-ring.direction=one --switch flat-ring.gather_again=true",
    ),
    ("both overlapped, the flat ring reads its inputs again", "both ways", ""),
    (
        "neither overlapped, the flat ring reads its inputs again",
        "one way",
        "--switch overlap=false --switch flat-ring.direction=one",
    ),
    (
        "only Hecaton overlapped, the flat ring reads its inputs again",
        "one way",
        "--switch flat-ring.overlap=false --switch flat-ring.direction=one",
    ),
)
"""Comparisons in which the flat ring is at a disadvantage that it need not have."""


PROJECTED = "hecaton project --model llama3.1-405b --dies 1024"

SILICON = (
    "",
    "-P die.stages=4 -P die.clock_hz=stages",
    "-P die.stages=4 -P vector.multiplier_stages=4 -P vector.function_stages=13 --silicon asap7-typical",
)
"""Clocks and areas of the same package."""

PACKAGES = (
    "",
    "-P parallel.data=8",
    "-P parallel.data=8 -P parallel.overlap=false",
    "-P parallel.data=8 -P parallel.shard_optimizer=true",
    "-P parallel.pipeline=8",
    "-P parallel.pipeline=8 -P parallel.interleave=3",
)
"""Machines of several packages, as overrides."""


SETTINGS = (
    ("preset (ring both ways, all methods overlapped, 64 GB/s links)", ""),
    ("ring one way", "--switch flat-ring.direction=one"),
    (
        "ring one way, only the baseline not overlapped (unlike)",
        "--switch flat-ring.direction=one --switch flat-ring.overlap=false",
    ),
    (
        "the same with links of 16 GT/s (32 GB/s, 0.5 pJ/b; unlike)",
        (
            "--switch flat-ring.direction=one --switch flat-ring.overlap=false "
            "-P link.lane_rate=16e9 -P link.pj_per_bit=0.5"
        ),
    ),
    ("preset with links of 16 GT/s", "-P link.lane_rate=16e9 -P link.pj_per_bit=0.5"),
    (
        "preset with advanced-package links (256 GB/s, flits of 2,048 bits, 0.3 pJ/b)",
        "-P link.lanes=64 -P link.lane_rate=32e9 -P nop.flit_bits=2048 -P link.pj_per_bit=0.3",
    ),
    ("preset with 128 x 128 PEs a die", "-P die.rows=128 -P die.cols=128"),
    ("preset with 1.25 pJ/b links", "-P link.pj_per_bit=1.25"),
    ("preset with partial sums in the operand type", "--switch sums=operand"),
)
"""Settings under which speed and energy over the flat ring are compared, as options."""


def comparison_table() -> str:
    """What Hecaton gains over a flat ring, like for like first."""
    head = "| | overlap, inputs | ring | speed | energy | switches |\n|---|---|---|---|---|---|\n"
    lines = []
    for kind, rows in (("like for like", LIKE_FOR_LIKE), ("unlike", UNLIKE)):
        for overlap, ring, switches in rows:
            methods = {row["method"]: row for row in result_of(f"{COMPARED} {switches}")["methods"]}
            ours, flat = methods["hecaton"], methods["flat-ring"]
            if bool(differences(ours["switches"], flat["switches"])) != (kind == "unlike"):
                raise RuntimeError(f"{switches or 'no switches'}: not {kind}")
            shown = f"`{switches}`" if switches else "none"
            lines.append(
                f"| {kind} | {overlap} | {ring} | {ours['speedup']:.2f}x | 1/{ours['energy_ratio']:.2f} | {shown} |\n"
            )
    return head + "".join(lines)


PAIRS = (
    ("TinyLlama-1.1B, 16 dies", "--model tinyllama-1.1b --mesh 4x4"),
    ("Llama2-7B, 64 dies", "--model llama2-7b --mesh 8x8"),
    ("Llama2-70B, 256 dies", "--model llama2-70b --mesh 16x16"),
    ("Llama3.1-405B, 1024 dies", "--model llama3.1-405b --mesh 32x32"),
)
"""Pairs of model and package, as options."""


def pairs_table() -> str:
    """A step of each pair of model and package, and what it is made of."""
    lines = [
        "| | step | array | NoP, exposed | vector unit, exposed | DRAM, exposed | vector unit busy | energy |\n"
    ]
    lines.append("|---|---|---|---|---|---|---|---|\n")
    for name, options in PAIRS:
        found = result_of(f"hecaton project {options}")
        parts = found["breakdown"]
        seconds = [
            found["step_seconds"],
            *(
                parts[f"{part}"]
                for part in ("compute", "nop_exposed", "vector_exposed", "dram_exposed", "vector_busy")
            ),
        ]
        shown = " | ".join(f"{value:.2f} s" for value in seconds)
        lines.append(f"| {name} | {shown} | {quantity(found['energy_joules'], 'J')} |\n")
    return "".join(lines)


def cost_table() -> str:
    """What a package costs, by part."""
    cost: Mapping[str, Any] = result_of(PROJECTED)["cost"]
    parts = cost["parts"]
    names = {
        "dies": f"dies, {cost['die_mm2']:.1f} mm2 each at 7 nm",
        "bad_dies": f"bad dies (yield {cost['die_yield']:.1%})",
        "io_dies": "IO dies",
        "package": "substrates",
        "bad_packages": f"bad substrates ({cost['assembly_yield']:.1%} of assemblies are good)",
        "wasted_dies": "good dies lost with them",
        "dram": "DRAM",
    }
    lines = [f"| {names[part]} | {dollars:,.0f} |\n" for part, dollars in parts.items() if dollars]
    return f"| part | dollars |\n|---|---|\n{''.join(lines)}| all | {cost['dollars']:,.0f} |\n"


def silicon_table() -> str:
    """A step with the clock and area that are assumed, beside those of the silicon report that comes along."""
    lines = [
        "| options | clock | logic and vector unit | die | step | energy | package |\n|---|---|---|---|---|---|---|\n"
    ]
    for options in SILICON:
        found = result_of(f"{PROJECTED} {options}")
        inputs = [*found["measured_inputs"], *found["assumed_inputs"]]
        (clock,) = (entry for entry in inputs if entry["name"] == "die.clock_hz")
        cost: Mapping[str, Any] = found["cost"]
        area = cost["die_area"]
        lines.append(
            f"| {f'`{options}`' if options else 'none'} | {clock['value'] / 1e6:.0f} MHz, {clock['status']} "
            f"| {area['logic']:.3f} + {area['vector']:.3f} mm2 | {cost['die_mm2']:.2f} mm2 "
            f"| {quantity(found['step_seconds'], 's')} | {quantity(found['energy_joules'], 'J')} "
            f"| {cost['dollars']:,.0f} $ |\n"
        )
    report = json.loads((PRESETS / "silicon" / "asap7-typical.json").read_text(encoding="utf-8"))
    path = report["paths"][0]
    units = ", ".join(f"{unit['delay_ps'] / 1e3:.2f} ns in `{unit['instance']}`" for unit in path["units"])
    ends = f"`{path['start']}` to `{path['end']}`"
    lines.append(
        f"\nThe period of the report, {report['period_ps'] / 1e3:.2f} ns, is that from {ends}: {units}.\n"
    )
    return "".join(lines)


def fits_table() -> str:
    """The efficiencies that meet two runs, with the errors of the others, the smallest mean first."""
    found = result_of("hecaton validate --pairs")
    fits = [fit for fit in found["pairs"] if fit["gemm_efficiency"] is not None]
    used = set(found["machine"]["fitted_to"])
    lines = [
        "| fitted to | efficiency | half | mean error of the others | largest |\n|---|---|---|---|---|\n"
    ]
    for fit in sorted(fits, key=lambda fit: float(fit["mean_error_others"])):
        mark = " (used, before rounding)" if set(fit["pair"]) == used else ""
        lines.append(
            f"| {', '.join(fit['pair'])}{mark} | {fit['gemm_efficiency']:.3f} | {fit['gemm_half']:.0f} "
            f"| {fit['mean_error_others']:.2%} | {fit['max_error_others']:.2%} |\n"
        )
    return f"{''.join(lines)}\n{len(fits)} of {len(found['pairs'])} pairs are met by an efficiency of at most 1.\n"


def validation_table(machine: str) -> str:
    """Measured and predicted steps on ``machine``, with their errors."""
    found = result_of(f"hecaton validate --machine {machine}")
    head = "| run | measured s | predicted s | error |\n|---|---|---|---|\n"
    lines = [
        f"| {row['run']['name']} {row['run']['recompute']}{' (fitted)' if row['fitted'] else ''} "
        f"| {row['run']['seconds']:.4g} | {row['predicted_seconds']:.4g} | {row['error']:+.2%} |\n"
        for row in found["predictions"]
    ]
    return (
        f"{head}{''.join(lines)}\nMean error {found['mean_error']:.2%}, largest {found['max_error']:.2%}"
        + (
            f"; of those that were not fitted {found['mean_error_not_fitted']:.2%} and "
            f"{found['max_error_not_fitted']:.2%}.\n"
            if any(row["fitted"] for row in found["predictions"])
            else "; nothing is fitted.\n"
        )
    )


def settings_table() -> str:
    """Speed and energy over the flat ring under other settings, gathering its inputs again and reading them again."""
    head = (
        "| Llama3.1-405B on 1024 dies | flat ring gathers again: speed over it | energy ratio "
        "| flat ring reads again: speed over it | energy ratio | options |\n|---|---|---|---|---|---|\n"
    )
    lines = []
    for name, options in SETTINGS:
        figures = []
        for again in ("--switch flat-ring.gather_again=true", ""):
            methods = result_of(f"{COMPARED} {options} {again}")["methods"]
            ours = next(row for row in methods if row["method"] == "hecaton")
            figures.append(f"{ours['speedup']:.2f} | {ours['energy_ratio']:.2f}")
        lines.append(f"| {name} | {' | '.join(figures)} | {f'`{options}`' if options else 'none'} |\n")
    return head + "".join(lines)


def scaling_table() -> str:
    """The terms whose product is the array time over the NoP time of each pair of model and package."""
    rows = [
        row for row in result_of("hecaton scaling")["rows"] if row["method"] == "hecaton" and row["terms"]
    ]
    terms = list(rows[0]["terms"])
    head = f"| | array over NoP | {' | '.join(term.replace('_', ' ') for term in terms)} |\n"
    lines = []
    for row in rows:
        values = " | ".join(f"{value:.3f}" for value in (row["compute_to_nop"], *row["terms"].values()))
        lines.append(f"| {row['model']}, {row['dies']} dies | {values} |\n")
    return f"{head}|{'---|' * (len(terms) + 2)}\n{''.join(lines)}"


def ablation_table() -> str:
    """DRAM bytes and time of a step without one rule of the schedule."""
    first, *others = result_of(f"{PROJECTED} --ablate")["ablation"]
    head = "| without | DRAM bytes | step |\n|---|---|---|\n"
    whole = f"| {first['without']} | {first['dram_bytes']:.3g} | {first['step_seconds']:.1f} s |\n"
    return (
        head
        + whole
        + "".join(
            f"| {row['without']} | {row['dram_ratio']:.3f} times | {row['step_ratio']:.3f} times |\n"
            for row in others
        )
    )


def packages_table() -> str:
    """A step on several packages."""
    head = (
        "| | packages | step | MFU | bubble | between packages, exposed | DRAM of the fullest |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    lines = []
    for overrides in PACKAGES:
        found = result_of(f"{PROJECTED} {overrides}")
        parts = found["breakdown"]
        lines.append(
            f"| {f'`{overrides}`' if overrides else ''} | {found['packages']} | {found['step_seconds']:.1f} s "
            f"| {found['mfu']:.1%} | {parts['pipeline_bubble']:.1f} s | {parts['fabric_exposed']:.2f} s "
            f"| {found['memory']['dram']['needed_bytes'] / 1e12:.1f} TB |\n"
        )
    return head + "".join(lines)


TABLES: dict[str, Callable[[], str]] = {
    "comparison": comparison_table,
    "ablation": ablation_table,
    "packages": packages_table,
    "settings": settings_table,
    "scaling": scaling_table,
    "pairs": pairs_table,
    "cost": cost_table,
    "silicon": silicon_table,
    "fits": fits_table,
    **{f"validation-{name}": partial(validation_table, name) for name in ("a100", "h100", "b200")},
}
"""Tables by the name of their place."""


def filled(text: str, tables: Mapping[str, Callable[[], str]]) -> str:
    """``text`` with ``tables`` in their places. Raises ``KeyError`` for a place without a table."""

    def table(place: re.Match[str]) -> str:
        return f"{place[1]}\n{tables[place[2]]()}\n{place[3]}"

    return re.sub(
        r"(<!-- begin ([\w-]+) \(make docs\) -->\n).*?(<!-- end \2 -->)", table, text, flags=re.DOTALL
    )


def result_of(command: str) -> dict[str, Any]:
    """The JSON object that ``command`` prints. Raises ``RuntimeError`` if it ends with another exit code than 0."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = run([*shlex.split(command)[1:], "--json"])
    if code:
        raise RuntimeError(f"{command} ended with exit code {code}")
    result: dict[str, Any] = json.loads(out.getvalue())
    return result
