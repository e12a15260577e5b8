"""`genograph export-model`: a trained model as a program of torch's, to run where genograph is not installed.

FOLDER/
  model.pt2            the program, for torch.export.load
  model.safetensors    its weights, with the run's config
  model.json           what it takes and gives: shapes, meaning, tracks
  example.npz          one window as it takes it, and what the model predicts of it
  example.py           runs it on that, with torch and numpy alone
"""

from __future__ import annotations

import json
import logging
import shutil
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from genograph.atomic import new_folder
from genograph.checkpoint import PACKAGES, WEIGHTS, load_run
from genograph.config import Config
from genograph.dataset import WindowDataset
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.graph.batch import GenomeBatch
from genograph.nn.model import GenomeModel

LOOKED_AT = 50  # windows, for one that has of everything
MEANINGS = {
    "codes": "pieces of sequence, A C G T N as 0 1 2 3 4, with context on both sides",
    "source": "of every bin its place in the bins of all pieces laid end to end, without context; -1: it is not read",
    "node_of_bin": "of every bin its node, from 0; -1: of none",
    "nodes": "only its length is read, which is the number of nodes",
    "edge_index": "source and destination node of every edge, sorted by destination, each pair in both directions",
    "edge_attr": "of every edge its attributes",
    "features": "of every node what it brings along, scaled as `features` says, and a last row for bins of no node",
    "state": "of every bin the methylated fractions of the CpGs beside it, cell by cell; NaN: there is none",
    "distance": "of every bin how many bp these are away",
}
STORED = "stored embeddings in place of sequence, bin after bin"

log = logging.getLogger("genograph")


class Program(nn.Module):
    """A model of one window as a function of tensors: the window's bins stand first, then those of its partners.

    Args:
        model: What predicts.
        batch: A batch of one window, of which it takes the sizes that all windows share.
    """

    def __init__(self, model: GenomeModel, batch: GenomeBatch) -> None:
        super().__init__()
        self.model, self.layout, self.crop = model, batch.layout, batch.crop

    def forward(
        self,
        codes: Tensor,
        source: Tensor,
        node_of_bin: Tensor,
        nodes: Tensor,
        edge_index: Tensor,
        edge_attr: Tensor,
        features: Tensor | None = None,
        state: Tensor | None = None,
        distance: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Predictions in units for each assay: (1, predicted bins, tracks)."""
        window, (partners, length) = self.layout
        if partners:
            partners = (source.shape[0] - window[1]) // length
        batch = GenomeBatch(
            codes=codes,
            source=source,
            layout=(window, (partners, length)),
            crop=self.crop,
            node_of_bin=node_of_bin,
            num_nodes=nodes.shape[0],
            edge_index=edge_index,
            edge_attr=edge_attr,
            features=features,
            position=source,
            neighbours={} if state is None else {"state": state, "distance": distance},
        )
        return self.model(batch)


def export_model(run: str | Path, out: str | Path, *, config: Config | None = None, genome: str | None = None) -> Path:
    """Write the model of a run as a program that needs torch alone; returns the folder.

    The program predicts one window at a time, as `genograph predict` does of one view before it blends windows. Numbers
    of pieces, partners, nodes and edges may vary, if torch can keep them open; else they are those of the example, and
    that is logged.

    Args:
        run: A run folder.
        out: The folder to write; there must be none. It appears whole or not at all.
        config: The run's config, perhaps with changes, such as where its data are now.
        genome: Which one, of a run of several.

    Raises:
        InputError: If the run is not finished, or of several genomes and none is named, its data are gone, the folder
            is there, or nodes are of several sizes.
    """
    out = Path(out)
    if out.exists():
        raise InputError(f"{out} is there already. Name another folder: --out FOLDER")
    experiment, model = load_run(run, config, genome)
    if experiment.config.graph.coarse:
        raise InputError("graph.coarse: a program has nodes of one size only; a model of several sizes has none yet.")
    path = Path(run)
    weights = path if path.name == WEIGHTS else path / WEIGHTS
    batch = _example(experiment.genome_windows(model.halo, stride=experiment.config.batch.predicted))
    inputs = _inputs(batch)
    with torch.inference_mode():
        predicted = model(batch)
    program = _exported(Program(model, batch).eval(), inputs)
    with new_folder(out) as folder:
        torch.export.save(program, folder / "model.pt2")
        shutil.copyfile(weights, folder / WEIGHTS)
        (folder / "model.json").write_text(json.dumps(_described(experiment, model, batch, program), indent=2) + "\n")
        outputs = {f"predicted_{assay}": each.numpy() for assay, each in predicted.items()}
        np.savez(folder / "example.npz", **{name: each.numpy() for name, each in inputs.items()}, **outputs)
        (folder / "example.py").write_text(files("genograph").joinpath("templates/example.py.txt").read_text())
    return out


def _example(windows: WindowDataset) -> GenomeBatch:
    """Of some windows over the genome that with the most partners and nodes."""
    drawn = np.linspace(0, len(windows) - 1, min(len(windows), LOOKED_AT)).astype(int).tolist()
    batches = (windows.make_batch([window]) for window in drawn)
    return max(batches, key=lambda batch: (batch.layout[1][0], batch.num_nodes, batch.edge_index.shape[1]))


def _inputs(batch: GenomeBatch) -> dict[str, Tensor]:
    """What the program takes, by name and in order."""
    names = ("codes", "source", "node_of_bin", "nodes", "edge_index", "edge_attr", "features")
    nodes = torch.zeros(batch.num_nodes)
    given = {name: nodes if name == "nodes" else getattr(batch, name) for name in names} | batch.neighbours
    return {name: values for name, values in given.items() if values is not None}


def _exported(program: Program, inputs: dict[str, Tensor]) -> ExportedProgram:
    """The program as torch's export, with as many open sizes as it can keep."""
    open_axis = {"edge_index": 1}
    shapes = {name: {open_axis.get(name, 0): Dim.AUTO} for name in inputs}
    try:
        return torch.export.export(program, (), inputs, dynamic_shapes=shapes, strict=False)
    except Exception as error:  # torch tells of what it cannot keep open in many ways
        log.warning("All sizes are fixed to those of the example, as torch cannot keep them open: %s", error)
        return torch.export.export(program, (), inputs, strict=False)


def _described(
    experiment: Experiment, model: GenomeModel, batch: GenomeBatch, program: ExportedProgram
) -> dict[str, Any]:
    """What `model.json` says; a size that may vary is a letter."""
    config, bins = experiment.config, experiment.store.bins
    (_, window), (_, partner) = batch.layout
    given = [node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs]
    shapes = {node.name: list(node.meta["val"].shape) for node in given}
    letters: dict[str, str] = {}
    for shape in shapes.values():
        for size in shape:
            if not isinstance(size, int):
                letters.setdefault(str(size), "abcdefgh"[len(letters)])
    least = {str(name): int(range_.lower) for name, range_ in program.range_constraints.items()}
    meanings = MEANINGS | ({"codes": STORED} if batch.codes.is_floating_point() else {})
    return {
        "name": config.name,
        "bin_size": bins.bin_size,
        "window_bins": window,
        "crop_bins": batch.crop,
        "predicted_bins": window - 2 * batch.crop,
        "partner_bins": partner,
        "context_bins": model.halo,
        "inputs": {
            name: {
                "shape": [letters.get(str(size), size) for size in shape],
                "dtype": str(node.meta["val"].dtype).removeprefix("torch."),
                "meaning": meanings[name],
            }
            for node, (name, shape) in zip(given, shapes.items(), strict=True)
        },
        "sizes": {letter: {"at_least": least.get(size, 0)} for size, letter in letters.items()},
        "edge_attributes": list(experiment.graph.attribute_names),
        "features": experiment.inputs["features"],
        "outputs": {
            assay: {
                "shape": [1, window - 2 * batch.crop, len(targets)],
                "unit": "what the targets table's transforms make of the track",
                "tracks": [
                    {"identifier": each.identifier, "strand": each.strand, "description": each.description}
                    for each in targets
                ],
            }
            for assay, targets in experiment.targets.items()
        },
        "versions": {name: version(name) for name in PACKAGES},
    }
