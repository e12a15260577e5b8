"""The shipped configs on the real data they name, with as little training as shows that the road holds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyBigWig
import pytest

from genograph.ablate import ablate
from genograph.checkpoint import load_run
from genograph.config import load_config
from genograph.describe import CONFIGS
from genograph.errors import InputError
from genograph.evaluate import evaluate
from genograph.experiment import Experiment
from genograph.genome.splits import SPLITS
from genograph.predict import predict, predictions
from genograph.train import train

QUICK = ["training.max_epochs=1", "training.threads=1", "training.accelerator=cpu", "training.devices=1"]


def quick(name, tmp_path_factory, *overrides):
    stores = tmp_path_factory.getbasetemp() / f"store-{name.removesuffix('_basenji')}"
    return load_config(CONFIGS / f"{name}.yaml", [*QUICK, f"store={stores}", *overrides])


@pytest.fixture(scope="module")
def ecoli(tmp_path_factory):
    config = quick("ecoli", tmp_path_factory, "splits.train=['NC_000913.3:0-400,000']")
    return train(config, tmp_path_factory.mktemp("ecoli") / "run")


@pytest.fixture(scope="module")
def ecoli_tracks(ecoli):
    return predict(ecoli)


def test_ecoli_goes_from_fasta_to_bigwig(ecoli, ecoli_tracks):
    accuracy = evaluate(ecoli)
    assert len(accuracy) == 25
    assert accuracy["pearsonr"].notna().all()
    assert len(list(ecoli_tracks.glob("*.bw"))) == 25
    with pyBigWig.open(str(ecoli_tracks / "glucose_fwd.bw")) as file:
        assert file.chroms() == {"NC_000913.3": 4_641_652}
        assert file.stats("NC_000913.3", type="coverage", exact=True)[0] > 0.9999


def test_the_first_bin_of_the_circle_is_blended_from_the_last_window_and_the_first(ecoli, ecoli_tracks):
    experiment, model = load_run(ecoli)
    predicted = experiment.config.batch.predicted
    windows = experiment.genome_windows(model.halo, stride=predicted - predicted // 4)
    windows.windows = windows.windows[[0, -1]]
    batches = predictions(model, windows, experiment.config, title="")
    in_each = np.concatenate([rates["expression"][position == 0] for position, rates in batches])
    assert in_each.shape == (2, 24)
    for target, values in zip(experiment.targets["expression"], in_each.T, strict=True):
        with pyBigWig.open(str(ecoli_tracks / f"{target.identifier}.bw")) as file:
            blended = file.values("NC_000913.3", 0, 1)[0]
        assert min(values) < blended < max(values)


def test_the_coarse_map_of_ecoli_joins_nodes_of_77_or_78_bins(ecoli):
    experiment = Experiment.open(load_config(ecoli))
    counts = np.bincount(experiment.store.node_of_bin)
    assert len(counts) == 469
    assert set(counts[:-1]) == {77, 78}
    assert experiment.graph.degree("hic").min() >= 1


@pytest.mark.needs_shared_data
@pytest.mark.parametrize("name", ["yeast", "yeast_basenji"])
def test_yeast_trains_on_two_chromosomes_and_is_judged_on_the_third(name, tmp_path_factory):
    run = train(quick(name, tmp_path_factory, "splits.train=['II:0-200,000']"), tmp_path_factory.mktemp(name) / "run")
    evaluate(run)
    assert pd.read_csv(run / "accuracy_by_chrom.tsv", sep="\t")["chrom"].unique().tolist() == ["XVI"]
    genes = pd.read_csv(run / "accuracy_genes.tsv", sep="\t").set_index("identifier")
    assert genes.loc["RNA_fwd", "n"] + genes.loc["RNA_rev", "n"] == pytest.approx(genes.loc["MNase", "n"], abs=2)


@pytest.mark.needs_shared_data
def test_bins_that_the_yeast_map_masks_leave_loss_and_metrics(tmp_path_factory):
    experiment = Experiment.open(quick("yeast", tmp_path_factory))
    masked = experiment.store.contacts.masked[experiment.store.node_of_bin]
    assert masked.sum() > 1000
    assert not experiment.store.mask[masked].any()
    assert (experiment.split_of_bin[masked] == SPLITS["test"]).any()


@pytest.mark.needs_shared_data
def test_an_ablation_of_yeast_with_masked_bins_counted_is_refused(tmp_path_factory, tmp_path):
    """They are empty in the map and in the tracks alike, which only a model that sees the map can tell."""
    store = tmp_path_factory.getbasetemp() / "store-unmasked"
    settings = ["contacts.mask=false", f"store={store}", "ablation.arms=[hic, features_only]", "ablation.seeds=1"]
    with pytest.raises(InputError, match=r"masked_bins_scored: .* ablation\.allow_leakage"):
        ablate(quick("yeast", tmp_path_factory, *settings), tmp_path / "out")
    assert not (tmp_path / "out" / "runs").exists()
