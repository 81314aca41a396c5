"""The notebooks: outputs are kept, and each runs from top to bottom where its kernel is installed."""

from __future__ import annotations

import json
import re

import pytest

from tests.support.paths import ROOT, python_path

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
SMALLER = {"depth=56": "depth=8", "epochs=10": "epochs=1", '"epochs": 20': '"epochs": 2'}
OWN = re.compile(r"/(?!kaggle/)(?:home|root|tmp|work|usr/local)/")


@each_notebook
def test_outputs_are_kept_in_order_and_name_no_machine(path):
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    texts = "".join("".join(output.get("text", [])) for output in outputs)
    assert not OWN.search(texts)


@pytest.mark.peers
@pytest.mark.slow
@pytest.mark.parametrize("smaller", [SMALLER, pytest.param({}, marks=pytest.mark.long)], ids=["smaller", "whole"])
@each_notebook
def test_each_runs_from_top_to_bottom(path, smaller, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", python_path())
    notebook = nbformat.read(path, 4)
    for cell in notebook.cells:
        for whole, part in smaller.items():
            cell.source = cell.source.replace(whole, part)
    kept = [bool(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]
    nbclient.NotebookClient(
        notebook, timeout=600, coalesce_streams=True, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    now = [bool(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]
    assert all(there or not before for there, before in zip(now, kept, strict=True))
