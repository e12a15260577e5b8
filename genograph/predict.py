"""`genograph predict`: whole chromosomes to one bigWig per track.

Windows overlap by a quarter of what they predict and are blended linearly there, so that no edge of a
window can be seen; on a circular chromosome the last one blends into the first.

Several processes share out the batches of one. What each predicts it writes to a file of its own, and the first goes
through these in the order of one process, so that the same is added up in the same order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor

from genograph.assays.bigwig import write_bigwig
from genograph.atomic import making
from genograph.checkpoint import load_run, trained_config
from genograph.config import Config
from genograph.dataset import WindowDataset, reverse_complement, turned
from genograph.experiment import Experiment
from genograph.graph.batch import GenomeBatch
from genograph.nn.model import GenomeModel
from genograph.processes import Crew, crew
from genograph.store import Store

_STDERR = Console(stderr=True)


def predict(
    run: str | Path,
    out: str | Path | None = None,
    *,
    config: Config | None = None,
    genome: str | None = None,
    workers: int = 1,
) -> Path:
    """Predict every bin of the genome with a trained run; returns the folder of bigWigs.

    Values are in the units that the model was trained on, that is after the targets table's transforms. Here a
    window's contact partners, and covered CpGs beside its bins, may lie in any split. What a prediction reads is
    sequence and, with `model.neighbours`, the states of CpGs that it does not predict.

    Args:
        run: A run folder.
        out: Where to write `<identifier>.bw`; None for `predictions/` in the run folder. Those of several genomes
            go to a folder for each in there.
        config: The run's config with changes; None for its own.
        genome: Of a run of several, which one; None for all.
        workers: Processes on this machine that share out the windows; 1 where torchrun or srun started several.

    Raises:
        InputError: If the run is not finished or its data are gone, or a worker ends early.
    """
    run = Path(run)
    folder = Path(out) if out is not None else run / "predictions"
    config = config or trained_config(run)
    for each in [genome] if genome is not None else [*config.genomes] or [None]:
        _predict(run, folder / (each or ""), config, each, workers)
    return folder


def _predict(run: Path, folder: Path, config: Config, genome: str | None, workers: int) -> None:
    """Predict one genome."""
    experiment, model = load_run(run, config, genome)
    with making(folder), crew(folder, workers, partial(_help, run, config, genome)) as member:
        windows, overlap = _genome_windows(experiment, model)
        if not member.is_first:
            share_predictions(model, windows, experiment.config, member)
            return
        blended = {
            assay: np.lib.format.open_memmap(
                member.scratch / f"blended-{assay}.npy",
                mode="w+",
                dtype=np.float32,
                shape=(len(targets), len(windows.store.bins)),
            )
            for assay, targets in experiment.targets.items()
        }
        made = predictions(model, windows, experiment.config, title="Predicting", member=member)
        _blend(made, windows, overlap, blended)
        for assay, targets in experiment.targets.items():
            for values, target in zip(blended[assay], targets, strict=True):
                write_track(folder / f"{target.identifier}.bw", experiment.store, values)


def _help(run: Path, config: Config, genome: str | None, member: Crew) -> None:
    """What a worker of `predict` does."""
    experiment, model = load_run(run, config, genome)
    share_predictions(model, _genome_windows(experiment, model)[0], config, member)


def _genome_windows(experiment: Experiment, model: GenomeModel) -> tuple[WindowDataset, int]:
    """Windows over the whole genome, and by how many bins each overlaps with the next."""
    predicted = experiment.config.batch.predicted
    return experiment.genome_windows(model.halo, stride=predicted - predicted // 4), predicted // 4


def predictions(
    model: GenomeModel, windows: WindowDataset, config: Config, *, title: str, member: Crew | None = None
) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
    """Batch by batch: bin numbers (windows, bins), and predictions (windows, bins, tracks) by assay.

    A prediction is the mean over the views of its sequence that `config.prediction` names, as Basenji's tests take it
    (Kelley et al. 2018).

    Args:
        model: Moved to a CUDA device, if there is one.
        windows: What to predict.
        config: With the views.
        title: Of the progress bar.
        member: The first of a crew whose others call `share_predictions`; None to predict all here.
    """
    if member is None or member.count == 1:
        for numbers in track(_batches(windows), title, transient=True, console=_STDERR):
            yield windows.predicted_bins(numbers), _predicted(model, windows, numbers, config, 0)
        return
    share_predictions(model, windows, config, member, title=title)
    batches = _batches(windows)
    files = [
        {assay: np.load(_file(member, rank, assay), mmap_mode="r") for assay in model.tracks}
        for rank in range(min(member.count, len(batches)))
    ]
    for number, numbers in enumerate(batches):
        first = number // member.count * windows.batch.size
        rows = slice(first, first + len(numbers))
        rates = {assay: np.array(file[rows]) for assay, file in files[number % member.count].items()}
        yield windows.predicted_bins(numbers), rates


def share_predictions(
    model: GenomeModel, windows: WindowDataset, config: Config, member: Crew, *, title: str = ""
) -> None:
    """Predict every so manyth batch, write that into the crew's scratch folder, and wait until all have done so."""
    share = _batches(windows)[member.rank :: member.count]
    rows = sum(map(len, share))
    files = {
        assay: np.lib.format.open_memmap(
            _file(member, member.rank, assay),
            mode="w+",
            dtype=np.float32,
            shape=(rows, windows.batch.predicted, tracks),
        )
        for assay, tracks in model.tracks.items()
        if rows
    }
    row = 0
    for numbers in track(share, title, transient=True, console=_STDERR) if member.is_first else share:
        for assay, rates in _predicted(model, windows, numbers, config, member.local_rank).items():
            files[assay][row : row + len(numbers)] = rates
        row += len(numbers)
    for file in files.values():
        file.flush()
    member.wait()


def _batches(windows: WindowDataset) -> list[range]:
    """Numbers of the windows of each batch, as one process predicts them."""
    size = windows.batch.size
    return [range(first, min(first + size, len(windows))) for first in range(0, len(windows), size)]


def _file(member: Crew, rank: int, assay: str) -> Path:
    """What one process of a crew predicts: (its windows, bins, tracks)."""
    return member.scratch / f"{rank}-{assay}.npy"


@torch.inference_mode()
def _predicted(
    model: GenomeModel, windows: WindowDataset, numbers: Sequence[int], config: Config, local_rank: int
) -> dict[str, np.ndarray]:
    """The mean over all views of some windows, by assay (windows, bins, tracks)."""
    has_gpu = torch.cuda.is_available() and config.training.accelerator != "cpu"
    device = torch.device("cuda", local_rank % torch.cuda.device_count()) if has_gpu else torch.device("cpu")
    model = model.to(device).eval()
    batches = [windows.make_batch(numbers, shift=shift) for shift in config.prediction.shifts]
    views = [rates for batch in batches for rates in _views(model, batch, windows, config, device)]
    return {assay: np.mean([view[assay] for view in views], axis=0) for assay in views[0]}


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
    made: Iterable[tuple[np.ndarray, dict[str, np.ndarray]]],
    windows: WindowDataset,
    overlap: int,
    blended: dict[str, np.ndarray],
) -> None:
    """Fill (tracks, bins) arrays with the weighted mean of all windows that predict a bin."""
    ramp = np.minimum(np.arange(1, windows.batch.predicted + 1), overlap + 1) / (overlap + 1)
    weight = np.minimum(ramp, ramp[::-1]).astype(np.float32)
    total = np.zeros(len(windows.store.bins), dtype=np.float32)
    for position, rates in made:
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
