"""Documentation: links resolve, generated pages are current, what is named exists, commands shown are accepted,
and the picture of the wavefront shows what the array does.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import rtl.compute.array
from chiplet.machine.configuration_keys import known_keys
from chiplet.projection.job import StepRequest
from chiplet.projection.project import project
from chiplet.studies.scaling import Setting, spread, weak_scaling
from hecaton.cli import app
from rtl.compute.array import Array
from rtl.compute.pe import PE
from tests.chiplet.machines import PACKAGE, package
from tests.rtl.harness import simulate
from tools.pictures import Slot, wavefront_slots
from tools.result_tables import LIKE_FOR_LIKE, UNLIKE

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
PICTURES = sorted((ROOT / "docs" / "pictures").glob("*.svg"))
OURS = "nop|chiplet|rtl|cosim|hecaton|tests|docs|tools"


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Anchors of the headings of a page, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", without_code(page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def shell_lines(page: Path) -> Iterator[list[str]]:
    """Words of each command in the shell snippets of a page, without comments and redirections."""
    text = page.read_text(encoding="utf-8")
    for snippet in re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in snippet.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield words[: words.index(">")] if ">" in words else words


def test_reference_pages_and_pictures_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "tools/docs.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": "."},
    )
    assert (done.stderr, done.returncode) == ("", 0)


def test_the_first_table_of_the_readme_is_made_by_commands_like_for_like_first() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = next(line for line in text.splitlines() if line.startswith("|"))
    table = re.search(
        r"<!-- begin comparison \(make docs\) -->\n(.*?)<!-- end comparison -->", text, re.DOTALL
    )
    assert table is not None
    lines = table[1].strip().splitlines()
    assert lines[0] == first
    kinds = [line.split("|")[1].strip() for line in lines[2:]]
    assert kinds == ["like for like"] * len(LIKE_FOR_LIKE) + ["unlike"] * len(UNLIKE)
    for line in lines[2:]:
        alike = "only Hecaton overlapped" not in line and "reads its inputs again" not in line
        assert alike == line.startswith("| like for like ")


def words(name: str) -> str:
    """The text of a page on one line."""
    return " ".join((ROOT / name).read_text(encoding="utf-8").split())


def test_figures_of_weak_scaling_in_texts_are_those_of_projections() -> None:
    rows, left_out = weak_scaling(Setting(PACKAGE), methods=("hecaton", "flat-ring"))
    assert left_out == []
    ratios = {
        method: [row.compute_to_nop for row in rows if row.method == method]
        for method in ("hecaton", "flat-ring")
    }
    ours, ring = ratios["hecaton"], ratios["flat-ring"]
    readme, text = words("README.md"), words("docs/method.md")
    assert f"| {max(ours):.1f} to {min(ours):.1f} (flat ring: {max(ring):.1f} to {min(ring):.1f}) |" in readme
    assert (
        f"it falls from {ours[0]:.2f} to {ours[-1]:.2f}, {spread(rows):.1%} around".replace("%", " %") in text
    )
    terms = [row.terms for row in rows if row.terms is not None]

    def around(*left: str) -> str:
        products = [prod(value for name, value in one if name not in left) for one in terms]
        return f"{(max(products) - min(products)) / (max(products) + min(products)):.1%}".replace("%", " %")

    def fall(name: str) -> float:
        return float(getattr(terms[0], name) / getattr(terms[-1], name))

    assert (
        f"it stays within {around('borders', 'attention', 'head', 'array', 'nop_rest')} around its middle"
        in text
    )
    assert f"n / (n - 1) falls from {terms[0].borders:.3f} to {terms[-1].borders:.3f}" in text
    assert (
        f"the fall by a factor of {ours[0] / ours[-1]:.3f} from the first pair to the last, `borders` is "
        f"{fall('borders'):.3f}, `attention` {fall('attention'):.3f}, `head` {fall('head'):.3f} and `shape` "
        f"{fall('shape'):.3f}; `array` ({fall('array'):.3f}) and `nop_rest` ({fall('nop_rest'):.3f}) work against it"
    ) in text
    assert (
        f"Without `borders` the ratio stays within {around('borders')} around its middle, without `borders` and "
        f"`attention` within {around('borders', 'attention')}"
    ) in text
    small, large = (one.borders * one.attention * one.head for one in (terms[0], terms[-1]))
    assert f"multiply the shape's ratio by {small:.2f} on 16 dies and by {large:.2f} on 1024" in text


def test_figures_of_the_flat_ring_in_texts_are_those_of_projections() -> None:
    def ring(again: bool) -> float:
        switches = {"gather_again": again}
        return project(
            StepRequest("llama3.1-405b", PACKAGE, mesh=(32, 32), method="flat-ring", switches=switches)
        ).step_seconds

    text = words("docs/method.md")
    assert f"They gather them again ({ring(True):,.0f} s a step), or each die reads its own copy" in text
    assert f"from memory ({ring(False):,.0f} s), which is the default of the switch" in text
    ours = project(StepRequest("llama3.1-405b", PACKAGE, mesh=(32, 32)))
    shared = ours.energy["array"] + ours.energy["sram"]
    assert f"about {shared / 1e6:.1f} MJ of {ours.energy_joules / 1e6:.1f} MJ here" in text
    rows_alone = project(StepRequest("llama3.1-405b", package("package.io=both"), mesh=(32, 32)))
    assert f"Llama3.1-405B takes {rows_alone.step_seconds:.0f} s" in text


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        if not linked.exists() or (anchor and anchor not in anchors(linked)):
            broken.append(target)
    assert broken == []


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert [name for name in sorted(pages) if f"({name})" not in index] == []


@pytest.mark.parametrize("page", [*PAGES, *PICTURES], ids=name_of)
def test_files_and_folders_that_are_named_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = []
    for path in re.findall(rf"(?<![\w/.<])((?:{OURS})/[\w/.*<>-]*)", text):
        pattern = re.sub(r"<\w+>", "*", path.partition("</")[0]).rstrip("./")
        if not any(ROOT.glob(pattern)):
            missing.append(path)
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_modules_and_what_they_hold_exist(page: Path) -> None:
    wrong = []
    for dotted in re.findall(rf"`((?:{OURS})(?:\.\w+)+)", page.read_text(encoding="utf-8")):
        if dotted in known_keys():
            continue  # a configuration key: the section nop is named as the folder
        folder, *names = dotted.split(".")
        path = ROOT / folder
        while names and (path / names[0]).is_dir():
            path /= names.pop(0)
        module = path / f"{names.pop(0)}.py" if names else path
        text = module.read_text(encoding="utf-8") if module.is_file() else ""
        if not module.exists() or any(not re.search(rf"\b{name}\b", text) for name in names):
            wrong.append(dotted)
    assert wrong == []


def refusal(words: list[str]) -> str:
    """Why ``hecaton`` would refuse a command line for its form; empty if it would not."""
    command: Any = get_command(app)
    remaining = words[1:]
    while hasattr(command, "commands") and remaining and not remaining[0].startswith("-"):
        if remaining[0] not in command.commands:
            return f"no subcommand {remaining[0]}"
        command = command.commands[remaining.pop(0)]
    options = {name: option for option in command.params for name in (*option.opts, *option.secondary_opts)}
    options["--help"] = None
    required = {option.name for option in command.params if option.required}
    arguments = sum(option.param_type_name == "argument" for option in command.params)
    while remaining:
        word = remaining.pop(0)
        name, equals, value = word.partition("=") if word.startswith("--") else (word, "", "")
        if not name.startswith("-"):
            arguments -= 1
            continue
        if name not in options:
            return f"no option {name}"
        option = options[name]
        if option is None:
            continue
        required.discard(option.name)
        if not option.is_flag and not equals:
            if not remaining:
                return f"{name} without a value"
            value = remaining.pop(0)
        if name == "-P" and value.partition("=")[0] not in known_keys():
            return f"no configuration key {value}"
    if arguments < 0:
        return "too many arguments"
    missing = required - {option.name for option in command.params if option.param_type_name == "argument"}
    return f"missing: {', '.join(sorted(missing))}" if missing else ""


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_in_shell_snippets_are_accepted(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    refused = []
    for words in shell_lines(page):
        if words[0] == "hecaton" and refusal(words):
            refused.append(f"{' '.join(words)}: {refusal(words)}")
        if words[0] == "make" and not set(words[1:]) <= set(targets):
            refused.append(f"{' '.join(words)}: no target")
    assert refused == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("hecaton cosim gemm --m 1 --k 1 --n 1 -P die.rows=3 --json", ""),
        ("hecaton --help", ""),
        ("hecaton cosim gem --m 1", "no subcommand gem"),
        ("hecaton cosim gemm --m 1 --k 1", "missing: n"),
        ("hecaton verilog -o", "-o without a value"),
        ("hecaton verilog -o die -P die.row=3", "no configuration key die.row=3"),
        ("hecaton verilog -o die --fast", "no option --fast"),
        ("hecaton verilog -o die more", "too many arguments"),
    ],
)
def test_the_check_of_commands_finds_what_is_wrong(line: str, why: str) -> None:
    assert refusal(shlex.split(line)) == why


@pytest.mark.parametrize(("rows", "stages", "m"), [(1, 1, 1), (4, 1, 4), (3, 2, 3), (2, 3, 1), (3, 1, 5)])
def test_the_wavefront_is_that_of_the_array(
    rows: int, stages: int, m: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = set(wavefront_slots(rows=rows, stages=stages, m=m, tiles=3))
    pes: list[PE] = []

    class Seen(PE):
        def __init__(self, **parameters: Any) -> None:
            super().__init__(**parameters)
            pes.append(self)

    monkeypatch.setattr(rtl.compute.array, "PE", Seen)
    array = Array(rows=rows, cols=1, dtype="int8", stages=stages)
    top = {(slot.cycle, slot.weight is None): slot for slot in expected if slot.row == 0}
    seen: set[Slot] = set()

    async def bench(ctx: Any) -> None:
        for cycle in range(max(slot.cycle for slot in expected) + 2):
            # Operands carry the numbers of their tile and vector, the same in all lanes.
            weight, activation = top.get((cycle, False)), top.get((cycle, True))
            ctx.set(array.load, weight is not None)
            ctx.set(array.swap, activation is not None and activation.activation == 0)
            if weight is not None and weight.weight is not None:
                ctx.set(array.w, weight.tile * 16 + weight.weight + 1)
                ctx.set(array.count, rows - 1 - weight.weight)
            code = 0
            if activation is not None and activation.activation is not None:
                code = activation.tile * 16 + activation.activation + 1
            ctx.set(array.a, sum(code << 8 * row for row in range(rows)))
            for row, pe in enumerate(pes):
                if ctx.get(pe.load_in):
                    tile, number = divmod(ctx.get(pe.w_in) - 1, 16)
                    seen.add(Slot(row, cycle, tile, weight=number))
                code = ctx.get(pe.a_in)
                if code:
                    tile, number = divmod(code - 1, 16)
                    seen.add(Slot(row, cycle, tile, activation=number))
                    assert ctx.get(pe.swap_in) == (number == 0)
            await ctx.tick()

    simulate(array, bench)
    assert seen == expected
