"""All files that the flows of other people need beside the Verilog of a design, by their paths."""

from __future__ import annotations

from rtl.emit.emitter import Emitted
from rtl.flow_files.fusesoc_core import fusesoc_core
from rtl.flow_files.sram_list import sram_json, sram_page, sram_uses
from rtl.flow_files.sram_wrappers import behavioural_srams, fpga_sram
from rtl.flow_files.system_rdl import system_rdl
from rtl.flow_files.verilog_bench import bench_name, verilog_bench
from rtl.synthesis.constraints import constraints
from rtl.synthesis.module_tree import parse_modules

__all__ = ["flow_files"]


def flow_files(emitted: Emitted, *, clock_hz: float, dies: int | None = None) -> dict[str, str]:
    """Text of each file by its path in the folder of the Verilog: ``emit`` takes this as ``beside``.

    Parameters
    ----------
    emitted
        A die or a package, with its SRAMs as black boxes or not.
    clock_hz
        Its clock, for the constraints.
    dies
        Dies of a package; None for a die alone.
    """
    top = emitted.top
    design = parse_modules(emitted.text, top)
    head = emitted.text[: emitted.text.index("\n") + 1]
    uses = sram_uses(design)
    names = [use.macro.name for use in uses]
    written = {"fpga": {use.macro.name: fpga_sram(use.macro, use.module) for use in uses}}
    emitted_as = "sram_behavioural"
    if any(use.module.macro for use in uses):
        emitted_as = "sram_macro"
        written["behavioural"] = behavioural_srams(use.macro for use in uses)
    wrappers = {
        f"sram_{which}": {name: f"sram/{which}/{name}.v" for name in names} for which in sorted(written)
    }
    paths = {**wrappers, emitted_as: {name: f"{name}.v" for name in names}}
    files = {
        "waivers": f"{top}.vlt",
        "bench": f"{bench_name(top)}.v",
        "constraints": f"{top}.sdc",
        "registers": f"{top}.rdl",
        "sram_list": f"{top}_srams.json",
    }
    return {
        f"{top}.core": fusesoc_core(
            head.split()[-1],
            top,
            bench=bench_name(top),
            rtl=[f"{name}.v" for name in emitted.modules if name not in names],
            srams={fileset: list(by_name.values()) for fileset, by_name in paths.items()},
            files=files,
        ),
        files["bench"]: verilog_bench(head, design.modules[top], dies=dies),
        files["constraints"]: constraints(design.modules[top], 1e12 / clock_hz),
        files["registers"]: system_rdl(head, top, dies=dies),
        files["sram_list"]: sram_json(top, uses, paths),
        f"{top}_srams.md": sram_page(top, uses),
        **{
            f"sram/{which}/{name}.v": head + text
            for which, texts in written.items()
            for name, text in texts.items()
        },
    }
