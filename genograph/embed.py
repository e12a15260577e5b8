"""`genograph embed`: the embeddings of every bin by a trained run's encoder, computed once, for models to read.

Nothing crosses a split, as in training: each run of bins of a split, and each between splits, is encoded apart, with N
beyond it. So a model that reads what is stored is given what it would be given by the encoder.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.lib.format import open_memmap
from rich.console import Console
from rich.progress import track

from genograph.checkpoint import WEIGHTS, load_run
from genograph.config import Config
from genograph.dataset import PieceReader, Stretches
from genograph.embeddings import DESCRIPTION, DTYPES, Description, Embeddings, finish, layout, stretches
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.assembly import N
from genograph.genome.bins import Bins
from genograph.genome.splits import NONE, SPLITS, runs
from genograph.nn.model import GenomeModel
from genograph.rebuild import sha256
from genograph.seen_before import seen_by_run
from genograph.store import write_json

PROGRESS = "progress.json"
LARGEST = float(np.finfo(np.float16).max)

log = logging.getLogger("genograph")
_STDERR = Console(stderr=True)


def embed(
    run: str | Path,
    out: str | Path | None = None,
    *,
    config: Config | None = None,
    dtype: str = "float32",
    genome: str | None = None,
) -> Path:
    """Encode every bin with a run's encoder; returns the `embeddings.json` that a config may name.

    Of `graph.candidates` the others have none. One that was stopped goes on after the last whole chromosome; one that
    is done is left as it is.

    Args:
        run: A run folder.
        out: The folder to write; None for `embeddings/` in the run folder. Those of a genome of several go to a folder
            of its name in there.
        config: The run's config with changes, such as where data lie; None for its own. With other splits, sequence is
            cut at their borders; what the encoder was trained on stays what it was.
        dtype: `float32`, or `float16` for half the size and three digits.
        genome: Which one, of a run of several.

    Raises:
        InputError: If the run is not finished, or of several genomes and none is named, has no encoder of sequence, its
            data are gone, the folder has embeddings of another run or lacks their array, or `float16` cannot hold them.
    """
    run = Path(run).parent if Path(run).name == WEIGHTS else Path(run)
    folder = (Path(out) if out is not None else run / "embeddings") / (genome or "")
    if dtype not in DTYPES:
        raise InputError(f"--dtype: {' or '.join(DTYPES)}, not '{dtype}'.")
    experiment, model = load_run(run, config, genome)
    if experiment.config.model.encoder is None or experiment.config.model.embeddings is not None:
        raise InputError(f"{run} reads no sequence, so that there is nothing to embed. Give a run with an encoder.")
    description = _description(experiment, model, run)
    made = {**description.model_dump(mode="json"), "dtype": dtype}
    path = folder / DESCRIPTION
    if path.is_file():
        _check_same(path, description, dtype, experiment.store.bins)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    opened, done = _begin(folder, description, experiment, dtype, made)
    encoder = _Encoder(experiment, model, opened)
    for chrom in experiment.store.bins.chroms:
        if chrom in done:
            continue
        encoder.encode(chrom)
        opened.values.flush()
        done.append(chrom)
        write_json(folder / PROGRESS, {"made": made, "done": done})
    finish(path, description, opened.values[: opened.num_bins])
    (folder / PROGRESS).unlink()
    return path


def to_read(path: Path, config: Config) -> list[str]:
    """The `section.key=value` with which a config, otherwise that of a run, reads embeddings that the run made."""
    encoder = {"name": "embeddings", "file": str(path.resolve())}
    changes = [
        f"model.encoder={yaml.safe_dump(encoder, default_flow_style=True, sort_keys=False, width=10**6).strip()}"
    ]
    if config.model.both_strands:
        changes.append("model.both_strands=false")
    else:
        turned = [name for name in ("augment", "prediction") if getattr(config, name).reverse_complement]
        changes += [f"{name}.reverse_complement=false" for name in turned]
    changes += ["augment.shift=0"] if config.augment.shift else []
    return changes + (["prediction.shifts=[0]"] if config.prediction.shifts != [0] else [])


class _Encoder:
    """Fills the rows of embeddings, a block of bins at a time, of about as many as a training step reads."""

    def __init__(self, experiment: Experiment, model: GenomeModel, opened: Embeddings) -> None:
        config, store = experiment.config, experiment.store
        on_gpu = torch.cuda.is_available() and config.training.accelerator != "cpu"
        self.device = torch.device("cuda" if on_gpu else "cpu")
        self.model, self.opened, self.bins = model.to(self.device).eval(), opened, store.bins
        chunk = 1 if config.sites is not None else config.batch.chunk or config.batch.window
        apart = np.asarray(opened.description.runs, dtype=np.int64)
        self.reader = PieceReader(store, apart, chunk, model.encoder.halo, experiment.candidates)
        self.length = chunk * max(1, config.batch.size * config.batch.window // chunk)

    @torch.inference_mode()
    def encode(self, chrom: str) -> None:
        """Write the rows of one chromosome, and that of N alone, which those beyond a whole circle have too."""
        values, span = self.opened.values, self.bins.span(chrom)
        values[self.opened.num_bins] = np.nan if self.reader.candidates is not None else self._of_n()
        starts = self.reader.runs[:, 0]
        for run in np.flatnonzero(self.reader.is_circle & (starts >= span.start) & (starts < span.stop)):
            values[self.opened.border_rows(run)] = values[self.opened.num_bins]
        blocks = list(self._blocks(span))
        for run, place in track(blocks, f"Embedding {chrom}", transient=True, console=_STDERR):
            first, end = self.reader.runs[run]
            bins = np.where((place >= first) & (place < end), place, -1)
            codes, source = self.reader.read([Stretches(np.array([run]), place[:1], bins[None])])
            rows = self.opened.rows(first, end, place)
            values[rows] = np.nan
            if len(codes):
                values[rows[source >= 0]] = self._embeddings(codes)[source[source >= 0]]

    def _blocks(self, span: slice) -> Iterator[tuple[int, np.ndarray]]:
        """The runs of a chromosome, with what lies beyond their ends, as (number of the run, places)."""
        for run, (first, end) in enumerate(self.reader.runs.tolist()):
            if span.start <= first < span.stop:
                border = 0 if self.reader.is_circle[run] else self.opened.description.border
                for start in range(first - border, end + border, self.length):
                    yield run, np.arange(start, min(start + self.length, end + border))

    def _of_n(self) -> np.ndarray:
        """The embedding of a bin that has nothing but N about it."""
        length = (1 + 2 * self.reader.halo) * self.bins.bin_size
        return self._embeddings(np.full((1, length), N, dtype=np.uint8))[0]

    def _embeddings(self, codes: np.ndarray) -> np.ndarray:
        """(bins, channels) of pieces (pieces, bp), without the bins of context."""
        one_hot = self.model.one_hot(torch.from_numpy(codes).to(self.device))
        found = self.model.encoder(one_hot, self.reader.halo).flatten(0, 1).float().cpu().numpy()
        if self.opened.values.dtype == np.float16 and np.abs(found).max(initial=0) > LARGEST:
            raise InputError(f"--dtype float16: an embedding is beyond {LARGEST:g}; take float32.")
        return found


def _description(experiment: Experiment, model: GenomeModel, run: Path) -> Description:
    """What the embeddings will be, but for what is missing."""
    store, split = experiment.store, experiment.split_of_bin
    apart = [stretch for code in (*SPLITS.values(), NONE) for stretch in runs(split == code, store.bins)]
    plain = experiment.candidates is None and store.sites is None
    seen = seen_by_run(run, store)
    if experiment.config.whole_windows and model.encoder.halo:
        log.info("batch.chunk is null: windows end in nothing there, embeddings in the sequence that goes on.")
    sources = {key: each["sha256"] for key, each in experiment.sources.items()}
    return Description(
        **layout(store.bins),
        channels=model.encoder.channels,
        receptive_field=model.encoder.receptive_field,
        both_strands=experiment.config.model.both_strands,
        runs=tuple(sorted(apart)),
        border=model.encoder.halo if plain else 0,
        trained=None if seen.unknown else stretches(seen.trained),
        chosen=stretches(seen.chosen),
        made_of={"run": str(run.resolve()), "weights": sha256(run / WEIGHTS), "sources": sources},
    )


def _begin(
    folder: Path, description: Description, experiment: Experiment, dtype: str, made: dict[str, Any]
) -> tuple[Embeddings, list[str]]:
    """The array to write, as far as it is there already, and the chromosomes that are done."""
    file, progress, num_bins = folder / description.array, folder / PROGRESS, len(experiment.store.bins)
    shape = Embeddings(description, np.empty(0), num_bins).shape
    state = json.loads(progress.read_text()) if progress.is_file() else {}
    if state.get("made") == json.loads(json.dumps(made)) and file.is_file():
        return Embeddings(description, np.load(file, mmap_mode="r+"), num_bins), state["done"]
    progress.unlink(missing_ok=True)
    return Embeddings(description, open_memmap(file, mode="w+", dtype=dtype, shape=shape), num_bins), []


def _check_same(path: Path, description: Description, dtype: str, bins: Bins) -> None:
    """Refuse to take what is there for what is asked for, if it is something else; the run may have moved."""
    there = Description.read(path)
    known = {"missing": None, "made_of": {**there.made_of, "run": description.made_of["run"]}}
    is_same = there.model_copy(update=known) == description
    if not is_same or Embeddings.open(path, bins).values.dtype.name != dtype:
        raise InputError(
            f"{path} has embeddings of another run, of other data or splits, or another dtype. Name another folder: "
            "--out FOLDER"
        )
