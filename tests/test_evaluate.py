from __future__ import annotations

import numpy as np
import pandas as pd
import pyBigWig
import pytest
import torch
import yaml
from scipy import stats

from genograph.config import load_config
from genograph.evaluate import evaluate, summarize
from genograph.experiment import Experiment
from genograph.predict import predict, predictions, write_track
from genograph.train import train
from tests.tiny import BIN, SIZES, write_world


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    run = train(load_config(write_world(folder), ["training.max_epochs=3"]), folder / "run")
    evaluate(run)
    predict(run)
    return run


def test_accuracy_has_a_row_per_track_with_the_columns_of_the_field(run):
    table = pd.read_csv(run / "accuracy.tsv", sep="\t")
    assert table["identifier"].tolist() == ["gc", "fwd", "rev", "meth"]
    assert set(table) >= {"index", "pearsonr", "spearmanr", "r2", "n", "identifier", "description", "assay"}
    assert table["assay"].tolist() == ["coverage", "expression", "expression", "methylation"]
    assert table["index"].tolist() == [0, 1, 2, 3]  # of the targets table


def test_accuracy_is_that_of_the_valid_bins_of_the_test_split(run):
    store = Experiment.open(load_config(run)).store
    table = pd.read_csv(run / "accuracy.tsv", sep="\t").set_index("identifier")
    test = np.zeros(len(store.bins), dtype=bool)
    test[store.bins.span("chrC")] = True
    assert table.loc["gc", "n"] == (test & store.mask & np.isfinite(store.signals("coverage")[:, 0])).sum()
    assert table.loc["meth", "n"] == (test & store.mask & np.isfinite(store.signals("methylation")[:, 0])).sum()


def test_the_bins_of_the_bigwig_reproduce_the_accuracy_table_on_a_whole_chromosome(run):
    """Evaluation and prediction window the chromosome differently; a bin's value hardly depends on that."""
    store = Experiment.open(load_config(run)).store
    with pyBigWig.open(str(run / "predictions" / "gc.bw")) as file:
        span = store.bins.span("chrC")
        predicted = np.array([value for *_, value in file.intervals("chrC")])
    kept = store.mask[span]
    r = stats.pearsonr(predicted[kept], store.signals("coverage")[span, 0][kept])[0]
    assert r == pytest.approx(pd.read_csv(run / "accuracy.tsv", sep="\t")["pearsonr"][0], abs=0.05)


def test_every_chromosome_of_the_split_has_its_row(run):
    table = pd.read_csv(run / "accuracy_by_chrom.tsv", sep="\t")
    assert table["chrom"].unique().tolist() == ["chrC"]


def test_a_stranded_track_is_scored_on_the_genes_of_its_strand(run):
    table = pd.read_csv(run / "accuracy_genes.tsv", sep="\t").set_index("identifier")
    on_test = [start for start in range(1000, SIZES["chrC"] - 1000, 1000)]
    assert table.loc["gc", "n"] == len(on_test)
    assert table.loc["fwd", "n"] == sum(1 for start in on_test if start % 2000)
    assert table.loc["rev", "n"] == sum(1 for start in on_test if not start % 2000)


def test_the_training_mean_has_no_correlation_and_the_ridge_learns_composition(run):
    table = pd.read_csv(run / "baselines.tsv", sep="\t").set_index(["predictor", "over", "identifier"])
    assert np.isnan(table.loc["training mean", "pearsonr"]).all()
    assert table.loc[("4-mer ridge", "bins", "gc"), "pearsonr"] > 0.95
    assert table.loc[("4-mer ridge", "genes", "gc"), "pearsonr"] > 0.95


def test_baselines_do_not_depend_on_how_much_is_held_at_once(run, tmp_path, monkeypatch):
    monkeypatch.setattr("genograph.baselines.STRETCH", 7)
    monkeypatch.setattr("genograph.baselines.BLOCK", 1)
    evaluate(run, tmp_path)
    tables = [pd.read_csv(folder / "baselines.tsv", sep="\t") for folder in (run, tmp_path)]
    pd.testing.assert_frame_equal(*tables, rtol=1e-9)


def test_a_table_is_written_whole_or_not_at_all(run, tmp_path, monkeypatch):
    evaluate(run, tmp_path)
    before = (tmp_path / "accuracy.tsv").read_text()

    def torn(table, path, **options):
        path.write_text("index\t")
        raise KeyboardInterrupt

    monkeypatch.setattr(pd.DataFrame, "to_csv", torn)
    with pytest.raises(KeyboardInterrupt):
        evaluate(run, tmp_path)
    assert (tmp_path / "accuracy.tsv").read_text() == before


def test_the_summary_averages_over_the_tracks_of_an_assay(run):
    table = pd.read_csv(run / "accuracy.tsv", sep="\t").set_index("identifier")
    summary = summarize(run).set_index(["predictor", "over", "assay"])
    expected = table.loc[["fwd", "rev"], "pearsonr"].mean()
    assert summary.loc[("model", "bins", "expression"), "pearsonr"] == pytest.approx(expected)


def test_predictions_are_one_bigwig_a_track_with_the_sizes_of_the_genome(run):
    files = sorted(path.name for path in (run / "predictions").iterdir())
    assert files == ["fwd.bw", "gc.bw", "meth.bw", "rev.bw"]
    with pyBigWig.open(str(run / "predictions" / "gc.bw")) as file:
        assert file.chroms() == SIZES
        intervals = file.intervals("chrA")
    assert [start for start, _, _ in intervals] == list(range(0, SIZES["chrA"] // BIN * BIN, BIN))
    assert all(end - start == BIN for start, end, _ in intervals)


class WindowNumber(torch.nn.Module):
    """Predicts for every bin of a window which window of its chromosome that is: the hardest seams there are."""

    halo = 1

    def __init__(self, bins, stride):
        super().__init__()
        self.bins, self.stride = bins, stride

    def forward(self, batch):
        first = batch.position[:, :1, None]
        number = (first - self.bins.span("chrA").start) // self.stride
        return {assay: number.expand(target.shape).float() for assay, target in batch.target.items()}


def blended_window_numbers(config, folder, monkeypatch):
    """What `predict` makes of window numbers on the first chromosome, and the bins from window to window."""
    experiment = Experiment.open(config)
    predicted = config.batch.window - 2 * config.batch.crop
    stride = predicted - predicted // 4
    model = WindowNumber(experiment.store.bins, stride)
    monkeypatch.setattr("genograph.predict.load_run", lambda *_: (experiment, model))
    with pyBigWig.open(str(predict("run", folder, config=config) / "gc.bw")) as file:
        return np.array([value for *_, value in file.intervals("chrA")]), predicted, stride


def test_each_window_hands_over_to_the_next_in_even_steps(run, tmp_path, monkeypatch):
    values, predicted, stride = blended_window_numbers(load_config(run), tmp_path, monkeypatch)
    overlap = predicted - stride
    starts = np.arange(stride, len(values), stride)  # of the second window and all after it
    corners = np.stack([starts - 1, starts + overlap], axis=1).ravel()
    levels = np.stack([np.arange(len(starts)), np.arange(len(starts)) + 1], axis=1).ravel()
    np.testing.assert_allclose(values, np.interp(np.arange(len(values)), corners, levels), atol=1e-5)


def test_the_last_window_of_a_circle_hands_over_to_the_first(tmp_path, monkeypatch):
    config = load_config(write_world(tmp_path), ["genome.circular=[chrA]"])
    values, predicted, stride = blended_window_numbers(config, tmp_path / "out", monkeypatch)
    # Windows start every `stride` bins until one reaches past the end; the first bins are its as well.
    last = -(-(len(values) - predicted) // stride)
    past_the_end = last * stride + predicted - len(values)
    assert 0 < past_the_end < stride
    own = np.minimum(np.arange(past_the_end) + 1, predicted - stride + 1)
    of_last = np.minimum(past_the_end - np.arange(past_the_end), predicted - stride + 1)
    np.testing.assert_allclose(values[:past_the_end], last * of_last / (own + of_last), rtol=1e-5)
    assert values[past_the_end] == 0


class StrandTold(torch.nn.Module):
    """Predicts the number of each bin, ten times that for its second track, and a base of its second piece."""

    halo = 1

    def forward(self, batch):
        position = batch.position[..., None].float()
        first = batch.codes[1:2, 500:501].float().expand(batch.num_windows, 1)[..., None] * torch.ones_like(position)
        return {"coverage": first, "expression": torch.cat([position, 10 * position], dim=2), "methylation": position}


def of_views(run, *changes):
    """The first batch of `predictions` with some changes: bins, and what is predicted."""
    experiment = Experiment.open(load_config(run, list(changes)))
    windows = experiment.dataset("test", StrandTold.halo)
    bins, rates = next(predictions(StrandTold(), windows, experiment.config, title=""))
    return bins.astype(float), rates


def test_both_strands_are_averaged_bin_by_bin_and_stranded_tracks_trade_places(run):
    bins, rates = of_views(run, "prediction.reverse_complement=true")
    np.testing.assert_allclose(rates["methylation"][..., 0], bins)
    np.testing.assert_allclose(rates["expression"][..., 0], 5.5 * bins)
    np.testing.assert_allclose(rates["expression"][..., 1], 5.5 * bins)


def test_without_a_word_one_strand_is_read(run):
    bins, rates = of_views(run)
    np.testing.assert_array_equal(rates["expression"][..., 1], 10 * bins)


def test_shifts_are_averaged(run):
    apart = [of_views(run, f"prediction.shifts=[{shift}]")[1]["coverage"][0, 0, 0] for shift in range(-5, 6)]
    _, together = of_views(run, f"prediction.shifts={list(range(-5, 6))}")
    assert len(set(apart)) > 1
    assert together["coverage"][0, 0, 0] == pytest.approx(np.mean(apart))


def test_bins_without_a_value_are_not_written(run, tmp_path):
    store = Experiment.open(load_config(run)).store
    values = np.arange(len(store.bins), dtype=np.float32)
    values[1] = np.nan
    write_track(tmp_path / "x.bw", store, values)
    with pyBigWig.open(str(tmp_path / "x.bw")) as file:
        assert file.intervals("chrA", 0, 3 * BIN) == ((0, BIN, 0.0), (2 * BIN, 3 * BIN, 2.0))


def test_evaluation_in_another_folder_leaves_the_run_alone(run, tmp_path):
    before = (run / "accuracy.tsv").read_text()
    evaluate(run, tmp_path / "valid", config=load_config(run, ["evaluation.split=valid", "evaluation.kmer_ridge=null"]))
    assert pd.read_csv(tmp_path / "valid" / "accuracy_by_chrom.tsv", sep="\t")["chrom"].unique().tolist() == ["chrB"]
    assert pd.read_csv(tmp_path / "valid" / "baselines.tsv", sep="\t")["predictor"].unique().tolist() == [
        "training mean"
    ]
    assert (run / "accuracy.tsv").read_text() == before
    assert not list(tmp_path.glob("valid/.*"))


def test_only_metrics_that_a_track_should_have_are_warned_of(run, tmp_path, caplog):
    evaluate(run, tmp_path)
    assert "auroc, auprc of meth" in caplog.text
    assert not any(identifier in caplog.text for identifier in ("gc", "fwd", "rev"))


def test_peaks_between_0_and_1_are_judged_by_ranking(tmp_path):
    path = write_world(tmp_path)
    (tmp_path / "targets.tsv").write_text(
        "index\tidentifier\tfile\tsum_stat\tscale\tassay\n7\tpeaks\tgc.bw\tpeak\t0.03125\taccessibility\n"
    )
    tree = yaml.safe_load(path.read_text())
    tree["model"]["heads"] = {"accessibility": {"loss": "bce"}}
    path.write_text(yaml.safe_dump(tree))
    run = train(load_config(path, ["training.max_epochs=1"]), tmp_path / "run")
    evaluate(run)
    store = Experiment.open(load_config(run)).store
    peaks = store.signals("accessibility")[store.bins.span("chrC"), 0]
    assert ((peaks > 0) & (peaks < 1)).any()
    for name in ("accuracy", "accuracy_genes"):
        table = pd.read_csv(run / f"{name}.tsv", sep="\t")
        assert table["index"].tolist() == [7]
        assert table[["auroc", "auprc"]].stack().between(0, 1).all()
    ridge = pd.read_csv(run / "baselines.tsv", sep="\t").set_index(["predictor", "over"]).loc[("4-mer ridge", "bins")]
    assert ridge["auroc"] > 0.9
