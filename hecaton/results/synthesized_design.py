"""What a synthesis was made of, as keys of its result: they make it a silicon report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chiplet.machine.configuration_keys import section_digests
from chiplet.machine.specs import SystemSpec
from chiplet.machine.synthesized.silicon_report import SiliconReport
from hecaton.results.silicon_objects import SynthesizedDesign
from hecaton.version import VERSION

__all__ = ["synthesized_design"]

SECTIONS = ("die", "memory", "vector")
"""Sections of the configuration that the cells of a die depend on."""


def synthesized_design(result: Mapping[str, Any], system: SystemSpec, *, package: bool) -> SynthesizedDesign:
    """The design behind ``result``, the keys of a synthesis.

    The digest ``measured`` is that of :class:`chiplet.machine.synthesized.silicon_report.SiliconReport`; a package has
    none, as no projection takes one.
    """
    made_of: SynthesizedDesign = {
        "design": "package" if package else "die",
        "hecaton_version": VERSION,
        "die": system.die.model_dump(mode="json"),
        "memory": system.memory.model_dump(mode="json"),
        "vector": system.vector.model_dump(mode="json"),
        "digests": section_digests(system, SECTIONS),
    }
    if not package:
        made_of["digests"]["measured"] = SiliconReport.measured_digest({**result, **made_of})
    return made_of
