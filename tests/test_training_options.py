"""What the published systems train with, on sites with peaks: RMSprop, norms, classes, ranks, transfer."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from safetensors.torch import load_file

from genograph.checkpoint import load_run
from genograph.config import load_config
from genograph.config_check import what_is_idle
from genograph.errors import InputError
from genograph.evaluate import evaluate
from genograph.experiment import Experiment
from genograph.nn.heads import MethylationHead
from genograph.nn.optimizer import build_optimizer, limit_norms, weight_penalty
from genograph.train import train
from genograph.trainer import TrainingModule, _summed_loss
from tests.prepare.test_prepare_sites import world

__all__ = ["world"]
SHORT = "training.max_epochs=2"


IDLE = "model.processor=[{name: gat}]"
LONG = ["batch.window=4", "graph.edges=[{name: linear}]"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ([IDLE], "model.processor: 'gat' passes messages over edges, and graph.edges is empty."),
        (
            [IDLE, "graph.edges=[{name: linear}]"],
            "batch.window: 1 bin without partners has no edge",
        ),
        (LONG, "graph.edges: no layer of model.processor passes messages over them"),
        (["training.freeze=[encoder]"], "training.freeze: encoder as random as at the start."),
    ],
)
def test_what_a_training_would_not_feel_is_told(world, changes, said):
    (told,) = what_is_idle(load_config(world, changes))
    assert told.startswith(said)


def test_nothing_is_told_where_all_is_felt(world, tmp_path):
    start = [f"training.start_from={{encoder: {tmp_path}}}", "training.freeze=[encoder]"]
    assert what_is_idle(load_config(world, [IDLE, *LONG, *start])) == []
    assert what_is_idle(load_config(world)) == []


def test_rmsprop_divides_by_the_root_of_its_mean_square():
    weight = torch.nn.Parameter(torch.zeros(1))
    options = {"learning_rate": 0.1, "momentum": 0.0, "beta2": 0.75, "weight_decay": 0.0}
    optimizer = build_optimizer([weight], "rmsprop", **options)
    weight.grad = torch.tensor([4.0])
    optimizer.step()
    assert weight.item() == pytest.approx(-0.1 * 4 / 2, rel=1e-5)  # the mean square is 0.25 x 16


def test_norms_of_weights_into_a_unit_are_limited_and_others_stay():
    layer = torch.nn.Conv2d(1, 2, (1, 2))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[3.0, 4.0], [0.3, 0.4]]).view(2, 1, 1, 2))
        layer.bias.fill_(9)
    limit_norms(layer.parameters(), 1.0)
    torch.testing.assert_close(layer.weight.flatten(1), torch.tensor([[0.6, 0.8], [0.3, 0.4]]))
    assert layer.bias.tolist() == [9, 9]


def test_penalties_are_of_weights_into_units_and_not_of_biases_and_norms():
    layers = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.BatchNorm1d(1))
    with torch.no_grad():
        layers[0].weight.copy_(torch.tensor([[2.0, -3.0]]))
        layers[0].bias.fill_(9)
    penalty = weight_penalty(layers.parameters(), l1=0.1, l2=0.01)
    assert penalty.item() == pytest.approx(0.1 * 5 + 0.01 * 13)
    penalty.backward()
    assert layers[0].weight.grad.flatten().tolist() == pytest.approx([0.1 + 0.04, -0.1 - 0.06])
    assert layers[0].bias.grad is None


def one_step(world, out, *changes):
    """The weights after a step of plain gradient descent over all training windows."""
    options = ["optimizer=sgd", "momentum=0", "learning_rate=0.5", "max_epochs=1", *changes]
    changes = ["batch.size=1000", "model.encoder.dropout=0", *(f"training.{each}" for each in options)]
    return load_file(train(load_config(world, changes), out) / "model.safetensors")


def test_a_step_takes_penalties_from_the_weights_and_the_written_loss_is_without_them(world, tmp_path):
    plain, penalised = (
        one_step(world, tmp_path / name, *changes)
        for name, changes in {"plain": [], "penalised": ["l1=0.001", "l2=0.01"]}.items()
    )
    experiment = Experiment.open(load_config(world))
    torch.manual_seed(experiment.config.seed)
    for name, before in experiment.model().named_parameters():
        taken = 0.5 * (0.001 * before.sign() + 0.02 * before) if before.dim() > 1 else torch.zeros(())
        torch.testing.assert_close(plain[name] - penalised[name], taken.expand_as(before), atol=1e-6, rtol=1e-4)
    tables = [csv.DictReader((tmp_path / name / "metrics.csv").open()) for name in ("plain", "penalised")]
    (plain,), (penalised,) = tables
    assert plain["train_loss"] == penalised["train_loss"]


def test_the_rate_of_an_epoch_is_that_of_the_last_times_the_decay(world, tmp_path):
    run = train(load_config(world, ["training={schedule: decay, decay: 0.5, max_epochs: 3}"]), tmp_path / "run")
    schedule = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["lr_schedulers"][0]
    assert schedule["_last_lr"] == pytest.approx([0.001 * 0.5**3])  # of the step that would come next


@pytest.mark.parametrize("options", ["{schedule: decay}", "{decay: 0.9}", "{schedule: cosine, decay: 0.9}"])
def test_a_decay_and_its_schedule_go_together(world, options):
    with pytest.raises(InputError, match=r"decay is of schedule: decay, such as 0\.975; give both or neither"):
        load_config(world, [f"training={options}"])


def test_after_training_no_norm_is_above_its_limit(world, tmp_path):
    options = ["optimizer=rmsprop", "momentum=0", "beta2=0.98", "learning_rate=0.05", "max_norm=0.5"]
    run = train(load_config(world, [SHORT, *(f"training.{each}" for each in options)]), tmp_path / "run")
    _, model = load_run(run)
    norms = torch.cat([each.flatten(1).norm(dim=1) for each in model.parameters() if each.dim() > 1])
    assert norms.max() <= 0.5 + 1e-5
    assert (norms > 0.499).any()


@pytest.mark.parametrize("monitor", ["auroc", "auprc"])
def test_the_monitored_rank_is_that_of_the_evaluation(world, tmp_path, monitor):
    config = load_config(world, ["training.max_epochs=1", f"training.monitor={monitor}", "evaluation.split=valid"])
    run = train(config, tmp_path / "run")
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", map_location="cpu", weights_only=True)
    (state,) = [each for each in checkpoint["callbacks"].values() if "best_score" in each]
    assert state["best_score"] == pytest.approx(evaluate(run)[monitor].mean(), abs=1e-6)


def test_a_part_begins_with_the_weights_of_another_run_and_stays_if_frozen(world, tmp_path):
    before = train(load_config(world, [SHORT]), tmp_path / "before")
    changes = [SHORT, "seed=5", "sites.train=[source]", f"training.start_from={{encoder: {before}}}"]
    frozen = train(load_config(world, [*changes, "training.freeze=[encoder]"]), tmp_path / "frozen")
    tuned = train(load_config(world, changes), tmp_path / "tuned")
    old, kept, moved = (load_file(run / "model.safetensors") for run in (before, frozen, tuned))
    encoder = [name for name in old if name.startswith("encoder.")]
    assert all(torch.equal(old[name], kept[name]) for name in encoder)
    assert not torch.equal(old["heads.accessibility.linear.weight"], kept["heads.accessibility.linear.weight"])
    assert all(not torch.equal(old[name], moved[name]) for name in encoder if "num_batches" not in name)


def test_a_part_of_another_shape_cannot_begin_a_model(world, tmp_path):
    before = train(load_config(world, [SHORT]), tmp_path / "before")
    changes = [f"training.start_from={{encoder: {before}}}", "model.encoder.hidden=[8]"]
    with pytest.raises(InputError, match=r"training\.start_from\.encoder: .* has another encoder than this config"):
        train(load_config(world, changes), tmp_path / "after")
    assert not (tmp_path / "after").exists()


def test_a_part_that_a_model_lacks_is_no_start(world, tmp_path):
    with pytest.raises(InputError, match=r"training\.start_from\.encoder: no trained model at"):
        train(load_config(world, [f"training.start_from={{encoder: {tmp_path / 'none'}}}"]), tmp_path / "run")
    with pytest.raises(InputError, match=r"training\.freeze"):
        train(load_config(world, ["training.freeze=[trunk]"]), tmp_path / "run")


def test_a_head_weighs_classes_by_what_trains(world):
    experiment = Experiment.open(load_config(world, ["model.heads.accessibility.class_weights=balanced"]))
    weights = experiment.model().heads["accessibility"].class_weights
    signals = experiment.store.signals("accessibility")[experiment.split_of_bin == 0]
    share = signals.mean(axis=0)
    np.testing.assert_allclose(weights.numpy(), [np.ones(2), (1 - share) / share], rtol=1e-5)


def test_epochs_take_turns_between_strands(world):
    config = load_config(world, ["augment.reverse_complement=epochs", "batch.balance=true"])
    windows = Experiment.open(config).dataset("train", 0, augment=True)
    forward = windows.make_batch([3, 4]).codes
    assert torch.equal(windows.collate([(0, 3), (0, 4)]).codes, forward)
    assert torch.equal(windows.collate([(2, 3), (2, 4)]).codes, forward)
    assert torch.equal(windows.collate([(1, 3), (1, 4)]).codes, 3 - forward.flip(1))
    batch = next(iter(windows.loader(shuffle=True)))
    assert batch.target["accessibility"].amax(dim=(1, 2)).tolist() == [1, 0] * 16


@pytest.mark.parametrize("size", [2, 3, 5, 7])
def test_no_training_batch_is_of_one_site(world, size):
    windows = Experiment.open(load_config(world, [f"batch.size={size}"])).dataset("train", 0)
    sizes = [batch.num_windows for batch in windows.loader(shuffle=True)]
    assert min(sizes) > 1
    assert len(windows) - sum(sizes) == (len(windows) % size == 1)
    assert sum(batch.num_windows for batch in windows.loader(shuffle=False)) == len(windows)


def test_balance_needs_both_classes(world):
    config = load_config(world, ["sites.train=[source]", "batch.balance=true"])
    with pytest.raises(InputError, match=r"batch\.balance: every training window has a positive"):
        Experiment.open(config).dataset("train", 0).loader(shuffle=True)


def test_the_scores_of_epochs_are_in_the_table(world, tmp_path):
    run = train(load_config(world, [SHORT, "training.monitor=auroc"]), tmp_path / "run")
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [0 < float(row["valid_auroc"]) < 1 for row in rows] == [True, True]


QUIET = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}


def validated(model, config, windows):
    """Scores of a model on the windows of a dataset."""
    module = TrainingModule(model, config.training, train=None, valid=windows, seed=0)
    (numbers,) = pl.Trainer(accelerator="cpu", devices=1, **QUIET).validate(module, verbose=False)
    return numbers


def test_the_validation_loss_is_that_of_one_batch_whichever_windows_share_one(world):
    weights = "model.heads.accessibility={class_weights: balanced, loss: bce}"
    config = load_config(world, [weights])
    model = Experiment.open(config).model().eval()
    model.heads["accessibility"].weigh_classes(torch.tensor([0.1, 0.7]))
    for size in (1, 3, 100):
        config = load_config(world, [weights, f"batch.size={size}"])
        windows = Experiment.open(config).dataset("valid", model.halo)
        expected, _ = model.loss(windows.make_batch(range(len(windows))))
        assert validated(model, config, windows)["valid/loss"] == pytest.approx(float(expected.detach()), rel=1e-5)


def test_a_site_of_nine_reads_weighs_nine_times_one_of_one_in_validation_too():
    """Of ten reads nine are methylated; their mean loss at a logit of 3 is .3486, in training and in validation."""
    head, mask = MethylationHead(3, 1), torch.ones(1, 1, 1, dtype=torch.bool)
    raw = torch.full((1, 1, 1), 3.0)
    deep, single = (
        _summed_loss(head, raw, torch.full((1, 1, 1), fraction), mask, torch.full((1, 1, 1), reads))
        for fraction, reads in ((1.0, 9.0), (0.0, 1.0))
    )
    loss, reads = (deep + single)[0]
    assert reads == 10
    assert loss / reads == pytest.approx(0.348587, abs=1e-6)
