"""`genograph evaluate`: how well a trained run predicts held-out sequence, and what simple predictors reach there.

    accuracy.tsv            one row per track, over bins
    accuracy_by_chrom.tsv   the same for each chromosome
    accuracy_genes.tsv      the same over genes: the mean of the bins that a gene touches, if genes are known
    baselines.tsv           the training mean and a k-mer ridge on the same bins and genes

Of methylation and peaks stand beside them the tables of `genograph.annotated`. Masked bins and missing values are in
none of them; what is undefined is NaN.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from genograph.annotated import by_annotation, by_output, outputs_of, read_annotations
from genograph.assays.targets import Target
from genograph.assays.tfrecord_folder import description_prefix
from genograph.atomic import making, replacing
from genograph.baselines import baseline_predictions
from genograph.checkpoint import check_own_tables, load_run, trained_config
from genograph.config import Config
from genograph.dataset import WindowDataset
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.genome.genes import Genes, gene_bins
from genograph.metrics import RANKING, is_positive, track_accuracy, trapezoid_auprc, warn_of_undefined
from genograph.nn.model import GenomeModel
from genograph.predict import predictions, share_predictions
from genograph.processes import Crew, crew
from genograph.store import Store


@dataclass(frozen=True)
class Held:
    """Predictions and targets of one assay on held-out bins or genes; arrays may be memory-mapped.

    Attributes:
        targets: Its tracks.
        ranking: Whether its values are peaks, fractions or classes, of all tracks or (tracks,) of each; see
            `genograph.metrics.track_accuracy`.
        prediction: (tracks, n)
        target: (tracks, n)
        mask: (tracks, n) True where a value counts.
        auprc: `steps` for average precision, `trapezoid` for straight lines between points.
    """

    targets: list[Target]
    ranking: bool | np.ndarray
    prediction: np.ndarray
    target: np.ndarray
    mask: np.ndarray
    auprc: str = "steps"

    def accuracy(self, rows: slice = slice(None)) -> pd.DataFrame:
        """The accuracy table, of some bins or all."""
        return pd.concat([self._accuracy(tracks, rows, ranking) for tracks, ranking in self._alike])

    @property
    def _alike(self) -> list[tuple[slice, bool]]:
        """Tracks next to each other that are all ranked, or all not, and which of the two."""
        ranking = np.broadcast_to(self.ranking, len(self.targets))
        edges = [0, *np.flatnonzero(np.diff(ranking)) + 1, len(ranking)]
        return [(slice(first, end), bool(ranking[first])) for first, end in pairwise(edges)]

    def _accuracy(self, tracks: slice, rows: slice, ranking: bool) -> pd.DataFrame:
        prediction, target, mask = (each[tracks, rows] for each in (self.prediction, self.target, self.mask))
        table = track_accuracy(
            prediction,
            target,
            mask,
            indices=[target.index for target in self.targets[tracks]],
            identifiers=[target.identifier for target in self.targets[tracks]],
            descriptions=[target.description for target in self.targets[tracks]],
            ranking=ranking,
        )
        if ranking and self.auprc == "trapezoid":
            table["auprc"] = [_trapezoid(*track) for track in zip(prediction, target, mask, strict=True)]
        return table

    def warn_of_undefined(self, table: pd.DataFrame) -> None:
        """Log what is NaN in a table of all tracks, but for metrics that a track is not judged by."""
        for tracks, ranking in self._alike:
            warn_of_undefined(table.iloc[tracks].drop(columns=[] if ranking else [*RANKING], errors="ignore"))


def _trapezoid(prediction: np.ndarray, target: np.ndarray, mask: np.ndarray) -> float:
    return trapezoid_auprc(np.where(mask & ~np.isnan(target), is_positive(target), np.nan), prediction)


@dataclass(frozen=True)
class GeneRows:
    """Which of the held-out bins stand for which gene, as pairs.

    Attributes:
        genes: All genes.
        gene: (pairs,) position of a gene.
        row: (pairs,) position among the held-out bins of one that it touches, or with `paint: tss` that holds
            its TSS.
    """

    genes: Genes
    gene: np.ndarray
    row: np.ndarray

    @classmethod
    def of(cls, experiment: Experiment, bins: np.ndarray) -> GeneRows | None:
        """Those of some bins; None if no genes are known."""
        store = experiment.store
        if store.genes is None:
            return None
        gene, tile = gene_bins(store.genes, store.bins, paint=experiment.config.section("tracks").paint)
        row = _row_of_bin(store, bins)[tile]
        return cls(store.genes, gene[row >= 0], row[row >= 0])

    def over(self, held: Held) -> Held:
        """Genes in place of bins: each is the mean of its valid bins; a stranded track counts its own strand's."""
        prediction, target = np.empty((2, len(held.targets), len(self.genes)))
        for track, each in enumerate(held.targets):
            kept = held.mask[track][self.row] & ((each.strand == ".") | (self.genes.strand[self.gene] == each.strand))
            prediction[track] = self._mean(held.prediction[track], kept)
            target[track] = self._mean(held.target[track], kept)
        return replace(held, prediction=prediction, target=target, mask=np.isfinite(target))

    def _mean(self, values: np.ndarray, kept: np.ndarray) -> np.ndarray:
        gene, values = self.gene[kept], np.asarray(values[self.row[kept]], dtype=np.float64)
        # Summed about one of them, so that a constant track stays constant to the last digit.
        origin = values[0] if len(values) else 0.0
        count = np.bincount(gene, minlength=len(self.genes))
        total = np.bincount(gene, weights=values - origin, minlength=len(self.genes))
        return origin + np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def evaluate(
    run: str | Path,
    out: str | Path | None = None,
    *,
    config: Config | None = None,
    genome: str | None = None,
    workers: int = 1,
) -> pd.DataFrame:
    """Score a trained run on its held-out split, write the tables, and return that over bins.

    Args:
        run: A run folder.
        out: Where to write the tables; None for the run folder, or `valid/` in it for the validation split. Those of
            several genomes go to a folder for each in there.
        config: The run's config with changes; None for its own.
        genome: Of a run of several, which one; None for all, which a column `genome` of what returns tells apart.
        workers: Processes on this machine that share out the windows; 1 where torchrun or srun started several.

    Raises:
        InputError: If the run is not finished or its data are gone, a worker ends early, or tables of another config
            would take the place of the run's own.
    """
    config = config or trained_config(run)
    if out is None:
        check_own_tables(run, config)
    folders = table_folders(run, out, config, genome)
    if genome is None and config.genomes:
        if config.evaluation.annotations:
            raise InputError("evaluation.annotations are of one genome; name it: --genome NAME")
        tables = {name: evaluate(run, out, config=config, genome=name, workers=workers) for name in folders}
        return pd.concat([table.assign(genome=name) for name, table in tables.items()], ignore_index=True)
    folder = folders[genome]
    experiment, model = load_run(run, config, genome)
    windows = experiment.dataset(experiment.config.evaluation.split, model.halo)
    bins = np.concatenate([np.arange(first, end) for first, end in windows.runs])
    annotations = read_annotations(experiment, bins)
    with making(folder), crew(folder, workers, partial(_help, run, config, genome)) as member:
        if member.is_first:
            tables = _tables(experiment, model, windows, bins, annotations, member)
            for name, table in tables.items():
                with replacing(folder / f"{name}.tsv") as written:
                    table.to_csv(written, sep="\t", index=False, na_rep="nan")
            return tables["accuracy"]
        share_predictions(model, windows, experiment.config, member)
    return pd.read_csv(folder / "accuracy.tsv", sep="\t")


def _help(run: str | Path, config: Config, genome: str | None, member: Crew) -> None:
    """What a worker of `evaluate` does."""
    experiment, model = load_run(run, config, genome)
    share_predictions(model, experiment.dataset(config.evaluation.split, model.halo), config, member)


def _tables(
    experiment: Experiment,
    model: GenomeModel,
    windows: WindowDataset,
    bins: np.ndarray,
    annotations: dict[str, np.ndarray],
    member: Crew,
) -> dict[str, pd.DataFrame]:
    """Every table, by the name of its file."""
    genes = GeneRows.of(experiment, bins)
    parts = defaultdict(list)
    for assay, held in predict_split(experiment, model, windows, bins, member):
        tables = {"accuracy": held.accuracy(), "accuracy_by_chrom": _by_chrom(experiment.store, bins, held)}
        held.warn_of_undefined(tables["accuracy"])
        if genes is not None:
            tables["accuracy_genes"] = genes.over(held).accuracy()
        tables["baselines"] = _baselines(experiment, assay, held, bins, genes, member.scratch)
        judged = outputs_of(experiment.config, assay, held.targets), held.prediction, held.target, held.mask
        if judged[0]:
            tables["accuracy_by_output"] = by_output(*judged)
        if experiment.config.evaluation.annotations:
            tables |= by_annotation(*judged, annotations)
        for name, table in tables.items():
            parts[name].append(table.assign(assay=assay))
    return {name: pd.concat(each, ignore_index=True) for name, each in parts.items()}


def table_folder(run: str | Path, out: str | Path | None, config: Config) -> Path:
    """Where the tables of an evaluation go: those of the validation split never over those of the test split."""
    if out is not None:
        return Path(out)
    return Path(run) if config.evaluation.split == "test" else Path(run) / config.evaluation.split


def table_folders(
    run: str | Path, out: str | Path | None, config: Config, genome: str | None = None
) -> dict[str | None, Path]:
    """The same by genome, None where the config is of one: of a genome of several, or of all of them.

    Raises:
        InputError: If it has no such genome.
    """
    genomes: list[str | None] = [genome] if genome is not None else [*config.genomes] or [None]
    folder = table_folder(run, out, config)
    return {each: folder / (each or "") for each in genomes if config.of(each)}


def summarize(folder: str | Path) -> pd.DataFrame:
    """Mean r, Spearman and R2 over the tracks of each assay, for the model and the baselines beside it.

    Where tracks are ranked, as peaks and methylation are, their mean AUROC and AUPRC too. Where descriptions start with
    a word such as `CAGE:`, as Basenji's do, each of these is summed up by itself.
    """
    tables = [pd.read_csv(Path(folder) / "accuracy.tsv", sep="\t").assign(over="bins", predictor="model")]
    if (Path(folder) / "accuracy_genes.tsv").is_file():
        tables.append(
            pd.read_csv(Path(folder) / "accuracy_genes.tsv", sep="\t").assign(over="genes", predictor="model")
        )
    tables.append(pd.read_csv(Path(folder) / "baselines.tsv", sep="\t"))
    table = pd.concat(tables)
    table["experiment"] = table["description"].fillna("").map(description_prefix)
    groups = ["assay", *(["experiment"] if table["experiment"].any() else []), "over"]
    means = table.groupby([*groups, "predictor"], sort=False)
    ranking = [metric for metric in RANKING if metric in table]
    return means[["pearsonr", "spearmanr", "r2", *ranking]].mean().reset_index().sort_values(groups, kind="stable")


def _baselines(
    experiment: Experiment, assay: str, held: Held, bins: np.ndarray, genes: GeneRows | None, scratch: Path
) -> pd.DataFrame:
    """Accuracy of the baselines over bins, and if genes are known over genes."""
    tables = []
    for predictor, prediction in baseline_predictions(experiment, assay, bins, scratch):
        baseline = replace(held, prediction=prediction)
        tables.append(baseline.accuracy().assign(over="bins", predictor=predictor))
        if genes is not None:
            tables.append(genes.over(baseline).accuracy().assign(over="genes", predictor=predictor))
    return pd.concat(tables)


def predict_split(
    experiment: Experiment, model: GenomeModel, windows: WindowDataset, bins: np.ndarray, member: Crew
) -> Iterator[tuple[str, Held]]:
    """Each assay's predictions and targets on some bins, gathered on disk in the first process of a crew."""
    row_of_bin = _row_of_bin(experiment.store, bins)
    kinds = {"prediction": np.float32, "target": np.float32, "mask": bool}
    arrays = {
        assay: {
            kind: np.lib.format.open_memmap(
                member.scratch / f"{assay}-{kind}.npy", mode="w+", dtype=dtype, shape=(len(targets), len(bins))
            )
            for kind, dtype in kinds.items()
        }
        for assay, targets in experiment.targets.items()
    }
    for by_kind in arrays.values():
        by_kind["prediction"][:] = np.nan  # a bin that no window predicts has no prediction
    made = predictions(model, windows, experiment.config, title="Evaluating", member=member)
    for position, predicted in made:
        observed = windows.observed(position)
        inside = position >= 0
        rows = row_of_bin[position[inside]]
        for assay, by_kind in arrays.items():
            by_kind["prediction"][:, rows] = predicted[assay][inside].T
            for kind in ("target", "mask"):
                by_kind[kind][:, rows] = observed[kind][assay].numpy()[inside].T
    for assay, targets in experiment.targets.items():
        ranking = np.zeros(len(targets), dtype=bool)
        for output in outputs_of(experiment.config, assay, targets):
            ranking[output.tracks] = output.is_of_classes
        yield assay, Held(targets, ranking, **arrays[assay], auprc=experiment.config.evaluation.auprc)


def _row_of_bin(store: Store, bins: np.ndarray) -> np.ndarray:
    """The position of each bin of the genome in `bins`, -1 where it is not among them."""
    row_of_bin = np.full(len(store.bins), -1, dtype=np.int64)
    row_of_bin[bins] = np.arange(len(bins))
    return row_of_bin


def _by_chrom(store: Store, bins: np.ndarray, held: Held) -> pd.DataFrame:
    edges = np.searchsorted(bins, store.bins.offsets)  # bins ascend, so a chromosome's are a slice
    return pd.concat(
        [
            held.accuracy(slice(first, end)).assign(chrom=chrom)
            for chrom, (first, end) in zip(store.bins.chroms, pairwise(edges), strict=True)
            if first < end
        ]
    )
