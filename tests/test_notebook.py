"""The tour, at small size."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "data" / "example.ipynb"
SMALL = 'SCALES = (64,)\nLAYERS = ("conv1_1", "conv2_1", "conv3_1")\nSIZE = 64\nSTEPS = 2\n'


def test_what_is_kept_in_the_notebook_is_whole_and_small() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert {output.output_type for output in outputs} == {"stream", "display_data"}
    assert sum("image/jpeg" in output.get("data", {}) for output in outputs) == 6
    text = NOTEBOOK.read_text("utf-8")
    assert len(text) < 300_000 and "/tmp/" not in text and "/home/" not in text


def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    root = str(NOTEBOOK.parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    (parameters,) = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    parameters.source = SMALL
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = []
    done = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    outputs = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    printed = "".join(output.text for output in outputs if output.output_type == "stream" and output.name == "stdout")
    assert re.search(r"chelsea\.stormy_night\.jpg: loss 1\.\d+ -> 0\.", printed)
    nearest = printed.split("stormy_night\n  ")[1].split("poppies\n")[0]
    assert "great_wave" in nearest and "starry_night" in nearest
    assert "Gram matrices differ by 0.0\nW2 is 2.351" in printed
    assert sum("image/jpeg" in output.get("data", {}) for output in outputs) == 6
