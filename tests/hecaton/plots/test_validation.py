"""The plot of a validation shows seconds beside every error."""

from __future__ import annotations

from pathlib import Path

from chiplet.studies.gpu_cluster import load_cluster
from chiplet.studies.megatron import validate
from chiplet.studies.megatron_runs import runs_of
from hecaton.plots.validation import plot_validation


def test_every_run_is_shown_with_its_seconds(tmp_path: Path) -> None:
    validation = validate(load_cluster("a100"), runs_of("a100", None).runs)
    plot_validation(validation, tmp_path / "plot.svg")
    text = (tmp_path / "plot.svg").read_text()
    for prediction in validation.predictions:
        assert f">{prediction.run.label}{' (fitted)' * prediction.fitted}</text>" in text
        assert f" for {prediction.run.seconds:.4g} s</text>" in text
