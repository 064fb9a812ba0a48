"""Run the bench beside this file on a die: ``python run.py FOLDER``, where ``hecaton verilog -o FOLDER`` has written.

It needs cocotb and Icarus Verilog, and nothing of Hecaton.
"""

import sys
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner


def main(folder):
    """Build the files of the list and run the bench; return the exit code."""
    (file_list,) = Path(folder).resolve().glob("*.f")
    top = file_list.stem
    runner = get_runner("icarus")
    runner.build(
        sources=[file_list.parent / name for name in file_list.read_text().split()],
        hdl_toplevel=top,
        build_dir=file_list.parent / "build",
        always=True,
    )
    results = runner.test(
        test_module="bench",
        hdl_toplevel=top,
        test_dir=Path(__file__).resolve().parent,
        build_dir=file_list.parent / "build",
        results_xml=str(file_list.parent / "results.xml"),
        extra_env={"DIE_MAP": str(file_list.with_suffix(".json"))},
    )
    tests, failed = get_results(results)
    print(f"{top}: {tests - failed} of {tests} passed")
    return 0 if tests and not failed else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
