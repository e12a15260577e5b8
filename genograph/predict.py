"""`genograph predict`: whole chromosomes to one bigWig per track.

Windows overlap by a quarter of what they predict and are blended linearly there, so that no edge of a
window can be seen; on a circular chromosome the last one blends into the first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from genograph.assays.bigwig import write_bigwig
from genograph.augment import reverse_complement, turned
from genograph.checkpoint import load_run
from genograph.config import Config
from genograph.dataset import WindowDataset
from genograph.graph.batch import GenomeBatch
from genograph.nn.model import GenomeModel
from genograph.store import Store

_STDERR = Console(stderr=True)


def predict(run: str | Path, out: str | Path | None = None, *, config: Config | None = None) -> Path:
    """Predict every bin of the genome with a trained run; returns the folder of bigWigs.

    Values are in the units that the model was trained on, that is after the targets table's transforms. Here a
    window's contact partners, and covered CpGs beside its bins, may lie in any split. What a prediction reads is
    sequence and, with `model.neighbours`, the states of CpGs that it does not predict.

    Args:
        run: A run folder.
        out: Where to write `<identifier>.bw`; None for `predictions/` in the run folder.
        config: The run's config with changes; None for its own.

    Raises:
        InputError: If the run is not finished or its data are gone.
    """
    run = Path(run)
    folder = Path(out) if out is not None else run / "predictions"
    experiment, model = load_run(run, config)
    folder.mkdir(parents=True, exist_ok=True)
    batch = experiment.config.batch
    overlap = batch.predicted // 4
    windows = experiment.genome_windows(model.halo, stride=batch.predicted - overlap)
    with TemporaryDirectory(dir=folder, prefix=".blending-") as scratch:
        blended = {
            assay: np.lib.format.open_memmap(
                Path(scratch) / f"{assay}.npy",
                mode="w+",
                dtype=np.float32,
                shape=(len(targets), len(windows.store.bins)),
            )
            for assay, targets in experiment.targets.items()
        }
        _blend(model, windows, overlap, experiment.config, blended)
        for assay, targets in experiment.targets.items():
            for values, target in zip(blended[assay], targets, strict=True):
                write_track(folder / f"{target.identifier}.bw", experiment.store, values)
    return folder


def predictions(
    model: GenomeModel, windows: WindowDataset, config: Config, *, title: str
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]]:
    """Batch by batch: bin numbers (windows, bins); predictions, targets and masks (windows, bins, tracks) by assay.

    A prediction is the mean over the views of its sequence that `config.prediction` names, as Basenji's tests take it
    (Kelley et al. 2018).
    """
    device = torch.device("cuda" if torch.cuda.is_available() and config.training.accelerator != "cpu" else "cpu")
    model = model.to(device).eval()
    starts = range(0, len(windows), windows.batch.size)
    with torch.inference_mode():
        for start in track(starts, title, transient=True, console=_STDERR):
            numbers = range(start, min(start + windows.batch.size, len(windows)))
            batches = [windows.make_batch(numbers, shift=shift) for shift in config.prediction.shifts]
            views = [rates for batch in batches for rates in _views(model, batch, windows, config, device)]
            batch = batches[0]  # bins and targets are the same in all
            yield (
                batch.position.numpy(),
                {assay: np.mean([view[assay] for view in views], axis=0) for assay in views[0]},
                {assay: target.numpy() for assay, target in batch.target.items()},
                {assay: mask.numpy() for assay, mask in batch.mask.items()},
            )


def _views(
    model: GenomeModel, batch: GenomeBatch, windows: WindowDataset, config: Config, device: torch.device
) -> Iterator[dict[str, np.ndarray]]:
    """Predictions from one strand or from both, each in the order of the first."""
    yield _on_host(model(batch.to(device)))
    if config.prediction.reverse_complement:
        targets = windows.store.targets
        other = reverse_complement(batch, windows.reader.chunk, targets)
        yield _on_host(turned(model(other.to(device)), targets))


def _on_host(rates: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {assay: rate.float().cpu().numpy() for assay, rate in rates.items()}


def _blend(
    model: GenomeModel, windows: WindowDataset, overlap: int, config: Config, blended: dict[str, np.ndarray]
) -> None:
    """Fill (tracks, bins) arrays with the weighted mean of all windows that predict a bin."""
    ramp = np.minimum(np.arange(1, windows.batch.predicted + 1), overlap + 1) / (overlap + 1)
    weight = np.minimum(ramp, ramp[::-1]).astype(np.float32)
    total = np.zeros(len(windows.store.bins), dtype=np.float32)
    for position, rates, _, _ in predictions(model, windows, config, title="Predicting"):
        for row, bins in enumerate(position):
            inside = bins >= 0
            total[bins[inside]] += weight[inside]
            for assay, rate in rates.items():
                blended[assay][:, bins[inside]] += (rate[row, inside] * weight[inside, None]).T
    with np.errstate(invalid="ignore"):  # what no window predicts, as the crop of a contig, becomes NaN
        for values in blended.values():
            for track_values in values:
                track_values /= total


def write_track(path: Path, store: Store, values: np.ndarray) -> None:
    """Write one value per bin, whole or not at all; bins without a value (NaN) are left out.

    Values of contigs are written where these lie on their chromosome, and are averaged where contigs overlap.

    Args:
        path: The bigWig to write.
        store: Its chromosome sizes stand in the header; of contigs, the last base that any of them predicts.
        values: (bins,)
    """
    sizes, contigs = store.sizes, defaultdict(list)
    if store.contigs is None:
        contigs.update({chrom: [(index, 0)] for index, chrom in enumerate(sizes)})
    else:
        sizes = {}
        for index, (name, contig) in enumerate(store.contigs.items()):
            end = contig.start + store.sizes[name] - contig.crop
            sizes[contig.chrom] = max(end, sizes.get(contig.chrom, 0))
            contigs[contig.chrom].append((index, contig.start))
    write_bigwig(path, sizes, ((chrom, *_joined(store, parts, values)) for chrom, parts in contigs.items()))


def _joined(
    store: Store, parts: list[tuple[int, int]], values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts, ends and values of what lies on one chromosome, the mean where bins overlap: (stretches,) each.

    Args:
        store: Whose bins these are.
        parts: Number in the store and first base on the chromosome of everything that lies there.
        values: (bins,)
    """
    tiles, places = [], []
    for index, start in parts:
        first, end = store.bins.offsets[index : index + 2]
        kept = first + np.flatnonzero(np.isfinite(values[first:end]))
        tiles.append(kept)
        places.append(start + store.bins.starts(kept))
    starts, each = np.concatenate(places), values[np.concatenate(tiles)].astype(float)
    ends = starts + store.bins.bin_size
    # Bins of two contigs may lie across each other: every border of one parts the other.
    borders = np.unique(np.concatenate([starts, ends]))
    first, last = np.searchsorted(borders, starts), np.searchsorted(borders, ends)
    bins = np.repeat(np.arange(len(starts)), last - first)
    stretch = first[bins] + np.arange(len(bins)) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
    count = np.bincount(stretch, minlength=len(borders))
    total = np.bincount(stretch, weights=each[bins], minlength=len(borders))
    covered = np.flatnonzero(count)
    return borders[covered], borders[covered + 1], total[covered] / count[covered]
