"""`card.md` of a run: what the model is, what it learned from, how well, and what it is not for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from genograph.atomic import replacing
from genograph.checkpoint import PACKAGES, WEIGHTS
from genograph.experiment import Experiment
from genograph.genome.splits import SPLITS
from genograph.nn.model import GenomeModel, count_parameters

CARD = "card.md"
MOST = 40  # rows of a table


class Trained(NamedTuple):
    """How a training ended.

    Attributes:
        epochs: That were trained.
        best: The one that is kept, from 0, as in `metrics.csv`.
        score: Its validation score.
        begun: SHA-256 of the `model.safetensors` that parts of the model began with, by part.
    """

    epochs: int
    best: int
    score: float
    begun: Mapping[str, str] = MappingProxyType({})


def write_card(
    model: GenomeModel, experiment: Experiment, trained: Trained, folder: Path, *, genome: str | None = None
) -> Path:
    """Write `card.md` into a run folder, whole or not at all; returns its path. Without a date, so that it repeats.

    Args:
        model: What was trained; only its parts are looked at.
        experiment: Of one genome.
        trained: How well.
        folder: The run's.
        genome: Which of several of the run this is; its card goes to a folder of its name.
    """
    config = experiment.config
    sections = {
        "Tracks": _tracks(experiment),
        "Model": _model(model, experiment),
        "Data": _data(experiment, trained),
        "Splits": _splits(experiment),
        "Training": _training(experiment, trained, genome),
        "Use and limits": _limits(experiment),
        "To load it": _loading(experiment, folder, genome),
        "Versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES) + ".",
    }
    source = f" After {config.source}." if config.source else ""
    text = f"# {config.name}\n\n{_summary(model, experiment)}{source}\n"
    text += "".join(f"\n## {title}\n\n{body}\n" for title, body in sections.items())
    path = folder / (genome or "") / CARD
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as written:
        written.write_text(text)
    return path


def _summary(model: GenomeModel, experiment: Experiment) -> str:
    tracks = ", ".join(f"{count:,} of {assay}" for assay, count in model.tracks.items())
    return (
        f"A model of genograph that predicts {sum(model.tracks.values()):,} tracks ({tracks}) in bins of "
        f"{experiment.store.bins.bin_size:,} bp."
    )


def _tracks(experiment: Experiment) -> str:
    rows = [
        (target.identifier, assay, target.strand, target.description)
        for assay, targets in experiment.targets.items()
        for target in targets
    ]
    return _table(("track", "assay", "strand", "description"), rows, "the targets table names them")


def _model(model: GenomeModel, experiment: Experiment) -> str:
    described, parameters = experiment.config.model, count_parameters(model)
    layers = " ".join(part.label for part in described.processor)
    rows = {
        "encoder": described.encoder.label if described.encoder else "",
        "neighbours": described.neighbours.label if described.neighbours else "",
        "processor": layers,
        "heads": " ".join(f"{assay} ({head.loss_name})" for assay, head in model.heads.items()),
        "parameters": f"{parameters.total:,}, of which {parameters.trainable:,} train",
        "receptive field": _reach(model.receptive_field),
        "graph": _graph(experiment),
    }
    return _table(("part", "what"), [row for row in rows.items() if row[1]]) + "\n\nAll options: `config.yaml`."


def _reach(bp: float) -> str:
    if np.isnan(bp):
        return "not known, as of the stored embeddings"
    return f"{bp:,.0f} bp of contiguous sequence" if np.isfinite(bp) else "the whole window"


def _graph(experiment: Experiment) -> str:
    told = []
    for graph in experiment.levels:
        pairs, types = graph.num_edges // 2, ", ".join(graph.edge_types) or "none"
        told.append(f"{graph.num_nodes:,} nodes, {pairs:,} pairs joined by edges of types {types}")
    return "; larger: ".join(told) if any(graph.edge_types for graph in experiment.levels) else ""


def _data(experiment: Experiment, trained: Trained) -> str:
    started = {part: _run(experiment, part) for part in trained.begun}
    rows = [
        (f"training.start_from.{key}", f"{run}/{WEIGHTS}", f"`{trained.begun[key]}`") for key, run in started.items()
    ]
    rows += [(key, Path(each["path"]).name, f"`{each['sha256']}`") for key, each in experiment.sources.items()]
    return _table(("source", "file", "SHA-256"), rows, f"`{WEIGHTS}` names them")


def _run(experiment: Experiment, part: str) -> str:
    """The name of the run that a part began with."""
    path = experiment.config.training.start_from[part]
    return path.parent.name if path.name == WEIGHTS else path.name


def _splits(experiment: Experiment) -> str:
    given = experiment.config.splits
    rows = []
    for name, number in SPLITS.items():
        regions = given and getattr(given, name)
        count = int((experiment.counted(name) & (experiment.split_of_bin == number)).sum())
        rows.append(
            (name, ", ".join(regions) if regions else "all others" if given else "as the records say", f"{count:,}")
        )
    return _table(("split", "regions", "bins that count"), rows)


def _training(experiment: Experiment, trained: Trained, genome: str | None) -> str:
    over = ", mean over genomes" if genome else ""
    config, batch = experiment.config.training, experiment.config.batch
    rows = {
        "optimizer": f"{config.optimizer}, learning rate {config.learning_rate:g}, {config.schedule}",
        "batch": f"{batch.size} windows in each process, of {batch.window:,} bins that predict {batch.predicted:,}",
        "began with": ", ".join(f"{part} of the run {_run(experiment, part)}" for part in trained.begun),
        "frozen": ", ".join(config.freeze),
        "seed": str(experiment.config.seed),
        "precision": config.precision,
        "epochs": f"0 to {trained.epochs - 1} in `metrics.csv`, of which epoch {trained.best} is kept",
        f"valid {config.monitor} of that epoch{over}": f"{trained.score:.4f}",
    }
    return (
        _table(("setting", "value"), [row for row in rows.items() if row[1]])
        + "\n\nThe validation split chose the epoch, so that its score flatters. `genograph evaluate` scores the test "
        "split, beside simple predictors."
    )


def _limits(experiment: Experiment) -> str:
    model, graph = experiment.config.model, experiment.config.graph
    types = {name for level in experiment.levels for name in level.contact_types}
    builders = [edge.build() for edges in graph.levels for edge in edges]
    other = types - {builder.name for builder in builders if builder.needs_contacts}
    read = {
        "sequence": model.encoder is not None and model.embeddings is None,
        "stored embeddings": model.embeddings is not None,
        "the CpGs beside": model.neighbours is not None,
        "features of nodes": graph.features is not None,
        "contacts": bool(types - other),
        f"edges ({', '.join(sorted(other))})": bool(other),
    }
    return (
        f"- For: predicting these tracks from {' and '.join(name for name in read if read[name])} of this assembly, in "
        "what was measured, and comparing models on what neither saw.\n"
        "- Not shown by any number here: that a prediction holds for other cells, conditions or genomes, for the "
        "effect of a variant, or for a patient; what a model reads goes along with a signal and need not cause it."
    )


def _loading(experiment: Experiment, folder: Path, genome: str | None) -> str:
    named = f', genome="{genome}"' if genome else ""
    # A model of several sizes of nodes has no program yet.
    program = "" if experiment.config.graph.coarse else ", `genograph export-model` a program that needs\ntorch alone"
    return f"""```python
from genograph import load_run

experiment, model = load_run("PATH_TO/{folder.name}"{named})  # this folder
```

It needs genograph and the data above. `genograph predict` writes bigWigs{program}."""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], elsewhere: str = "") -> str:
    """A markdown table of at most so many rows, with a line that says how many more there are and where."""
    rows = list(rows)
    lines = [heads, ["---"] * len(heads), *rows[:MOST]]
    text = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
    return text + (f"\n\nAnd {len(rows) - MOST:,} more; {elsewhere}." if len(rows) > MOST else "")
