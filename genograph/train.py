"""`genograph train`: fit the model of a config, and leave a run folder that says all about it.

runs/<name>/
  config.yaml          the resolved config
  metrics.csv          one row an epoch
  tensorboard/         the same, by step
  checkpoints/         best.ckpt and last.ckpt, for --resume
  model.safetensors    weights of the best epoch with the config: enough to evaluate and predict
  card.md              what the model is, what it learned from, how well, and what it is not for
"""

from __future__ import annotations

import logging
import math
import sys
import warnings
from pathlib import Path
from typing import get_args

import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning.callbacks import Callback, RichProgressBar
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.utilities.exceptions import MisconfigurationException
from torch import nn

from genograph.atomic import replacing
from genograph.card import Trained, write_card
from genograph.checkpoint import WEIGHTS, begin_with, save_model, scaled_as
from genograph.config import Config, TrainingConfig, changed_keys
from genograph.config_check import what_is_idle
from genograph.dataset import WindowDataset
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.joint import JointExperiment, JointWindows
from genograph.metrics_table import MetricsTable
from genograph.nn.model import GenomeModel, ModelPart
from genograph.nn.synced_norm import normalise_over_processes
from genograph.processes import launched
from genograph.trainer import Checkpoints, TrainingModule

log = logging.getLogger("genograph")

# What Lightning warns of though it is meant so.
NOISE = ".*num_workers.*|.*srun.*|.*log_every_n_steps.*|.*LeafSpec.*|.*sync_dist.*|.*all_gather is deprecated.*"


def train(config: Config, out: str | Path | None = None, *, resume: bool = False) -> Path:
    """Train the model of a config; returns the run folder.

    Prepares the store if need be. Stops when the validation score has not risen for `training.patience`
    epochs, and keeps the weights of the best epoch.

    Args:
        config: What to train, on what, how.
        out: The run folder; None for `runs/<name>`.
        resume: Go on from the last finished epoch, which ends with the weights of a run that was never
            stopped. A folder without one starts from the beginning.

    Raises:
        InputError: If the folder holds a run already (without `resume`), or one of another config, or an
            input is wrong.
    """
    folder = Path(out) if out is not None else Path("runs") / config.name
    _check_folder(folder, config, resume=resume)
    checkpoints = Checkpoints(folder / "checkpoints", config.training)
    if resume:
        checkpoints.resume()
        if not checkpoints.epochs:
            log.info("No finished epoch at %s: starting from the beginning.", checkpoints.last)
    trainer = _trainer(config.training, folder, checkpoints)
    experiment = JointExperiment.open(config) if config.genomes else Experiment.open(config)
    if "features" in config.training.start_from:
        experiment = scaled_as(experiment, config.training.start_from["features"])
    torch.manual_seed(config.seed)
    model = experiment.model()
    _check_frozen(model, config.training)
    for each in dict.fromkeys(line for genome in config.genomes or [None] for line in what_is_idle(config.of(genome))):
        log.warning(each)
    begun = begin_with(model, config.training.start_from, experiment)
    checkpoints.begun = checkpoints.begun or begun  # of the first start, whatever has become of that run
    windows = experiment.dataset("train", model.halo, augment=True)
    for each in windows.parts.values() if isinstance(windows, JointWindows) else [windows]:
        _tell_contacts(each)
    if config.training.sync_norm and trainer.world_size > 1:
        _check_all_is_read(config)
        normalise_over_processes(model)
    module = TrainingModule(
        model,
        config.training,
        train=windows,
        valid=experiment.dataset("valid", model.halo),
        seed=config.seed,
    )
    folder.mkdir(parents=True, exist_ok=True)
    if trainer.is_global_zero:
        with replacing(folder / "config.yaml") as written:  # a run goes on by what stands there
            written.write_text(config.to_yaml())
    if not checkpoints.is_over:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=NOISE)
            try:
                trainer.fit(module, ckpt_path=checkpoints.last if checkpoints.epochs else None, weights_only=True)
            except SystemExit:  # what Lightning makes of Ctrl-C
                raise KeyboardInterrupt from None
    if math.isnan(checkpoints.best_score):
        raise InputError(
            f"valid/{config.training.monitor} was undefined in every epoch, so there is no best one: nothing "
            "varies in the validation split, or in what the model predicts there, as after too high a learning rate "
            f"(the last training loss is in {folder / 'metrics.csv'}). Choose larger splits.valid, another "
            "training.learning_rate, or training.monitor=loss."
        )
    if trainer.is_global_zero:
        state = torch.load(checkpoints.best, map_location="cpu", weights_only=True)["state_dict"]
        module.load_state_dict(state)
        save_model(model, experiment, folder)
        _write_cards(model, experiment, checkpoints, folder)
    trainer.strategy.barrier()
    return folder


def _write_cards(
    model: GenomeModel, experiment: Experiment | JointExperiment, checkpoints: Checkpoints, folder: Path
) -> None:
    """A card, or one for each genome in a folder of its name."""
    best = checkpoints.epochs - checkpoints.waited - 1
    trained = Trained(checkpoints.epochs, best, checkpoints.best_score, checkpoints.begun)
    if isinstance(experiment, Experiment):
        write_card(model, experiment, trained, folder)
        return
    for genome, part in experiment.parts.items():
        own = part.model()
        for name in experiment.config.training.freeze:
            getattr(own, name).requires_grad_(False)
        write_card(own, part, trained, folder, genome=genome)


def _check_frozen(model: GenomeModel, config: TrainingConfig) -> None:
    """Refuse to freeze what is not there, or everything."""
    parts = {
        part for part in get_args(ModelPart) if any(True for _ in getattr(model, part, nn.Identity()).parameters())
    }
    for part in config.freeze:
        if part not in parts:
            raise InputError(
                f"training.freeze: this model has no {part} with weights; it has {', '.join(sorted(parts))}."
            )
    if parts <= {*config.freeze}:
        raise InputError("training.freeze leaves nothing to train.")


def _check_all_is_read(config: Config) -> None:
    """Refuse to wait, in an encoder's normalisation, for a process whose batch has nothing to read."""
    if any(config.of(genome).graph.candidates is not None for genome in config.genomes or [None]):
        raise InputError("training.sync_norm: with graph.candidates a batch may have nothing to read; leave one out.")


def _tell_contacts(windows: WindowDataset) -> None:
    _, share = windows.contacts_shown()
    if share < 1:  # not NaN, without contacts
        log.info(
            "A window shows %.0f %% of the contacts of its nodes: batch.partners=%d.", 100 * share, windows.num_partners
        )


def _check_folder(folder: Path, config: Config, *, resume: bool) -> None:
    """Refuse to write over a file or a run, or to go on with another config than it was begun with."""
    for path in (folder, *folder.parents):
        if path.is_file():
            raise InputError(f"{path} is a file, and {folder} would be a folder. Name another: --out FOLDER")
    written = folder / "config.yaml"
    if not written.is_file():
        if resume:
            raise InputError(f"no run at {folder} to go on with. Name its folder: --out FOLDER; or leave out --resume.")
        return
    if not resume:
        # The processes of a distributed run start one after the other and find the first one's folder.
        if (folder / "checkpoints").exists() or (folder / WEIGHTS).exists():
            raise InputError(f"{folder} already holds a run. Go on with it: --resume; or name another: --out FOLDER")
        return
    before, now = yaml.safe_load(written.read_text()), yaml.safe_load(config.to_yaml())
    # With a cosine schedule the learning rate of every step follows from the number of epochs.
    free = {"training.patience", "downloads", "store"} | (
        {"training.max_epochs"} if config.training.schedule != "cosine" else set()
    )
    changed = sorted(changed_keys(before, now) - free)
    if changed:
        raise InputError(
            f"{folder} was begun with another config: {', '.join(changed)} differ{'s' * (len(changed) == 1)}. "
            f"On the way {', '.join(sorted(free))} may change, and nothing else"
            + (
                ", as with schedule: cosine all rates follow from max_epochs"
                if "training.max_epochs" in changed
                else ""
            )
            + "; else name another --out FOLDER."
        )


def _trainer(config: TrainingConfig, folder: Path, checkpoints: Checkpoints) -> pl.Trainer:
    """The loop over epochs; writes nothing yet."""
    if config.precision == "16-mixed" and (config.accelerator == "cpu" or not torch.cuda.is_available()):
        raise InputError("training.precision=16-mixed needs a CUDA device. Without one choose bf16-mixed.")
    callbacks: list[Callback] = [
        MetricsTable(folder / "metrics.csv", first_epoch=checkpoints.epochs, monitor=config.monitor),
        checkpoints,
    ]
    if sys.stderr.isatty():
        callbacks.append(RichProgressBar(leave=False))
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    here = launched()
    if here and config.devices not in ("auto", here.local_count):
        raise InputError(
            f"training.devices={config.devices}, but {here.local_count} processes were started on this machine. "
            "Leave it at auto, which takes as many."
        )
    devices = here.local_count if here else config.devices
    try:
        return pl.Trainer(
            accelerator=config.accelerator,
            devices=devices,
            num_nodes=here.count // here.local_count if here else 1,
            strategy="ddp" if (here and here.count > 1) or (isinstance(devices, int) and devices > 1) else "auto",
            precision=config.precision,
            max_epochs=config.max_epochs,
            callbacks=callbacks,
            logger=TensorBoardLogger(folder, name="tensorboard", version=""),
            num_sanity_val_steps=0,
            log_every_n_steps=10,
            enable_progress_bar=sys.stderr.isatty(),
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
    except MisconfigurationException as error:
        raise InputError(
            f"training.accelerator={config.accelerator} with training.devices={config.devices} is not to be had here: "
            f"{error} Leave both at auto to take what there is."
        ) from None
