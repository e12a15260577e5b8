"""`genograph evaluate`: how well a trained run predicts held-out sequence, and what simple predictors reach there.

    accuracy.tsv            one row per track, over bins
    accuracy_by_chrom.tsv   the same for each chromosome
    accuracy_genes.tsv      the same over genes: the mean of the bins that a gene touches, if genes are known
    baselines.tsv           the training mean and a k-mer ridge on the same bins and genes

Masked bins and missing values are in none of them; what is undefined is NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from genograph.assays.assay import ASSAYS
from genograph.assays.targets import Target
from genograph.baselines import baseline_predictions
from genograph.checkpoint import load_run
from genograph.config import Config
from genograph.experiment import Experiment
from genograph.genome.genes import Genes, gene_bins
from genograph.metrics import track_accuracy, warn_of_undefined
from genograph.nn.model import GenomeModel
from genograph.predict import device_for, predictions
from genograph.store import Store


@dataclass(frozen=True)
class Held:
    """Predictions and targets of one assay on the bins of a split.

    Attributes:
        targets: Its tracks.
        kind: `count`, `binary` or `ratio`; see `genograph.metrics.track_accuracy`.
        bins: (n,) numbers of the bins.
        prediction: (n, tracks)
        target: (n, tracks)
        mask: (n, tracks) True where a value counts.
    """

    targets: list[Target]
    kind: str
    bins: np.ndarray
    prediction: np.ndarray
    target: np.ndarray
    mask: np.ndarray

    def accuracy(self, rows: np.ndarray | slice = slice(None)) -> pd.DataFrame:
        """The accuracy table, of some rows or all."""
        return track_accuracy(
            self.prediction[rows],
            self.target[rows],
            self.mask[rows],
            identifiers=[target.identifier for target in self.targets],
            descriptions=[target.description for target in self.targets],
            kind=self.kind,
        )


def evaluate(run: str | Path, out: str | Path | None = None, *, config: Config | None = None) -> pd.DataFrame:
    """Score a trained run on its held-out split, write the tables, and return that over bins.

    Args:
        run: A run folder.
        out: Where to write the tables; None for the run folder.
        config: The run's config with changes; None for its own.

    Raises:
        InputError: If the run is not finished or its data are gone.
    """
    folder = Path(out) if out is not None else Path(run)
    experiment, model = load_run(run, config)
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder, prefix=".evaluating-") as scratch:
        held = dict(_predict_split(experiment, model, Path(scratch)))
        scores = _per_assay(held, lambda name, each: _scores(experiment, each))
        by_chrom = _per_assay(held, lambda name, each: _by_chrom(experiment.store, each))
        baselines = _per_assay(held, lambda name, each: _baselines(experiment, name, each))
    accuracy, genes = (scores[scores["over"] == over].drop(columns="over") for over in ("bins", "genes"))
    warn_of_undefined(accuracy)
    tables = {"accuracy": accuracy, "accuracy_by_chrom": by_chrom, "baselines": baselines}
    if len(genes):
        tables["accuracy_genes"] = genes
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.tsv", sep="\t", index=False, na_rep="nan")
    return accuracy


def summarize(folder: str | Path) -> pd.DataFrame:
    """Mean r, Spearman and R2 over the tracks of each assay, for the model and the baselines beside it."""
    tables = [pd.read_csv(Path(folder) / "accuracy.tsv", sep="\t").assign(over="bins", predictor="model")]
    if (Path(folder) / "accuracy_genes.tsv").is_file():
        tables.append(
            pd.read_csv(Path(folder) / "accuracy_genes.tsv", sep="\t").assign(over="genes", predictor="model")
        )
    tables.append(pd.read_csv(Path(folder) / "baselines.tsv", sep="\t"))
    means = pd.concat(tables).groupby(["assay", "over", "predictor"], sort=False)
    return means[["pearsonr", "spearmanr", "r2"]].mean().reset_index().sort_values(["assay", "over"], kind="stable")


def _per_assay(held: Mapping[str, Held], score: Callable[[str, Held], pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([score(assay, each).assign(assay=assay) for assay, each in held.items()], ignore_index=True)


def _scores(experiment: Experiment, held: Held) -> pd.DataFrame:
    """Accuracy over bins, and if genes are known over genes, told apart by the column `over`."""
    tables = [held.accuracy().assign(over="bins")]
    genes = experiment.store.genes
    if genes is not None:
        tables.append(_over_genes(experiment, genes, held).accuracy().assign(over="genes"))
    return pd.concat(tables)


def _baselines(experiment: Experiment, assay: str, held: Held) -> pd.DataFrame:
    return pd.concat(
        [
            _scores(experiment, replace(held, prediction=prediction)).assign(predictor=predictor)
            for predictor, prediction in baseline_predictions(experiment, assay, held.bins)
        ]
    )


def _predict_split(experiment: Experiment, model: GenomeModel, scratch: Path) -> Iterator[tuple[str, Held]]:
    """Each assay's predictions on the split, gathered on disk."""
    windows = experiment.dataset(experiment.config.evaluation.split, model.halo)
    bins = np.concatenate([np.arange(first, end) for first, end in windows.runs])
    row_of_bin = np.full(len(experiment.store.bins), -1, dtype=np.int64)
    row_of_bin[bins] = np.arange(len(bins))
    kinds = {"prediction": np.float32, "target": np.float32, "mask": bool}
    arrays = {
        assay: {
            kind: np.lib.format.open_memmap(
                scratch / f"{assay}-{kind}.npy", mode="w+", dtype=dtype, shape=(len(bins), len(targets))
            )
            for kind, dtype in kinds.items()
        }
        for assay, targets in experiment.targets.items()
    }
    for position, *values in predictions(model, windows, device=device_for(experiment.config), title="Evaluating"):
        inside = position >= 0
        rows = row_of_bin[position[inside]]
        for kind, by_assay in zip(kinds, values, strict=True):
            for assay, each in by_assay.items():
                arrays[assay][kind][rows] = each[inside]
    for assay, targets in experiment.targets.items():
        yield assay, Held(targets, _kind(experiment.config, assay), bins, **arrays[assay])


def _kind(config: Config, assay: str) -> str:
    return "binary" if config.model.heads[assay].get("loss") == "bce" else ASSAYS[assay].kind


def _by_chrom(store: Store, held: Held) -> pd.DataFrame:
    chrom = store.bins.chrom_index(held.bins)
    return pd.concat([held.accuracy(chrom == each).assign(chrom=store.bins.chroms[each]) for each in np.unique(chrom)])


def _over_genes(experiment: Experiment, genes: Genes, held: Held) -> Held:
    """Genes in place of bins: each is the mean of its valid bins; a stranded track counts its own strand's genes."""
    gene, row = _gene_rows(experiment, genes, held.bins)

    def mean(values: np.ndarray, track: int, kept: np.ndarray) -> np.ndarray:
        count = np.bincount(gene[kept], minlength=len(genes))
        total = np.bincount(gene[kept], weights=values[row[kept], track], minlength=len(genes))
        return np.divide(total, count, out=np.full(len(genes), np.nan), where=count > 0)

    prediction, target = np.empty((2, len(genes), len(held.targets)))
    for track, each in enumerate(held.targets):
        on_strand = each.strand == "." or genes.strand[gene] == each.strand
        kept = np.asarray(held.mask[row, track] & on_strand)
        prediction[:, track] = mean(held.prediction, track, kept)
        target[:, track] = mean(held.target, track, kept)
    rows = np.arange(len(genes))
    return replace(held, bins=rows, prediction=prediction, target=target, mask=np.isfinite(target))


def _gene_rows(experiment: Experiment, genes: Genes, bins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of a gene and a row of `bins` that it touches, or with `paint: tss` that holds its TSS."""
    gene, tile = gene_bins(genes, experiment.store.bins, paint=experiment.config.section("tracks").paint)
    row_of_bin = np.full(len(experiment.store.bins), -1, dtype=np.int64)
    row_of_bin[bins] = np.arange(len(bins))
    is_held = row_of_bin[tile] >= 0
    return gene[is_held], row_of_bin[tile[is_held]]
