"""What simple predictors reach on the points that arms are judged on; each is fitted once a fold, and kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from genograph.ablate.judged import Judged
from genograph.atomic import replacing
from genograph.baselines import TRAINING_MEAN, baseline_predictions
from genograph.statistics.scores import mean_pearsonr

FOLDER = "baselines"


def simple_scores(folder: Path, judged: Sequence[Judged]) -> pd.DataFrame:
    """The r of the predictors that `genograph evaluate` has beside a model, but for the constant: `baseline r`.

    A score is the mean over folds of the mean over tracks, as that of an arm is. There is none where
    `evaluation.kmer_ridge` is null and no neighbours are read.

    Args:
        folder: Of the ablation; what is predicted for held-out bins is kept in `baselines/` there.
        judged: What each fold holds out, of one assay.
    """
    found: dict[str, list[float]] = {}
    for number, fold in enumerate(judged):
        for name, values in _predictions(folder / FOLDER / f"fold{number}-{fold.assay}.npz", fold).items():
            found.setdefault(name, []).append(mean_pearsonr(fold.points, fold.of_predictions(values)))
    return pd.DataFrame([(name, np.mean(each)) for name, each in found.items()], columns=["baseline", "r"])


def _predictions(path: Path, fold: Judged) -> dict[str, np.ndarray]:
    """By predictor, (tracks, bins) for the bins that a fold holds out."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent) as scratch:
            made = baseline_predictions(fold.experiment, fold.assay, fold.bins, Path(scratch))
            kept = {name: np.array(values, dtype=np.float32) for name, values in made if name != TRAINING_MEAN}
        with replacing(path) as written, written.open("wb") as file:
            np.savez(file, **kept)
    with np.load(path) as arrays:
        return dict(arrays)
