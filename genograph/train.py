"""`genograph train`: fit the model of a config, and leave a run folder that says all about it.

runs/<name>/
  config.yaml          the resolved config
  metrics.csv          one row an epoch
  tensorboard/         the same, by step
  checkpoints/         best.ckpt and last.ckpt, for --resume
  model.safetensors    weights of the best epoch with the config: enough to evaluate and predict
"""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

import pytorch_lightning as pl
import torch
import yaml
from pytorch_lightning.callbacks import Callback, EarlyStopping, ModelCheckpoint, RichProgressBar
from pytorch_lightning.loggers import TensorBoardLogger

from genograph.checkpoint import WEIGHTS, save_model
from genograph.config import Config, TrainingConfig
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.trainer import MetricsTable, TrainingModule

log = logging.getLogger("genograph")

# What Lightning warns of though it is meant so.
NOISE = ".*num_workers.*|.*srun.*|.*log_every_n_steps.*|.*LeafSpec.*|.*exists and is not empty.*"


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
    last = folder / "checkpoints" / "last.ckpt"
    _check_folder(folder, config, resume=resume)
    experiment = Experiment.open(config)
    torch.manual_seed(config.seed)
    model = experiment.model()
    module = TrainingModule(
        model,
        config.training,
        train=experiment.dataset("train", model.halo, augment=True),
        valid=experiment.dataset("valid", model.halo),
        seed=config.seed,
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(config.to_yaml())
    first_epoch = _next_epoch(last) if resume else 0
    best = ModelCheckpoint(
        folder / "checkpoints",
        filename="best",
        monitor=f"valid/{config.training.monitor}",
        mode="min" if config.training.monitor == "loss" else "max",
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    trainer = _trainer(config.training, folder, best, first_epoch)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=NOISE)
        trainer.fit(module, ckpt_path=last if first_epoch else None, weights_only=True)
    if trainer.is_global_zero:
        if not Path(best.best_model_path).is_file():
            raise InputError(
                f"valid/{config.training.monitor} was undefined in every epoch, so there is no best one: nothing "
                "varies in the validation split. Choose larger splits.valid, or training.monitor=loss."
            )
        state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)["state_dict"]
        module.load_state_dict(state)
        save_model(model, experiment, folder)
    trainer.strategy.barrier()
    return folder


def _check_folder(folder: Path, config: Config, *, resume: bool) -> None:
    """Refuse to write over a run, or to go on with another config than it was begun with."""
    written = folder / "config.yaml"
    if not written.is_file():
        return
    if not resume:
        # The processes of a distributed run start one after the other and find the first one's folder.
        if (folder / "checkpoints").exists() or (folder / WEIGHTS).exists():
            raise InputError(f"{folder} already holds a run. Go on with it: --resume; or name another: --out FOLDER")
        return
    before, now = yaml.safe_load(written.read_text()), yaml.safe_load(config.to_yaml())
    # With a cosine schedule the learning rate of every step follows from the number of epochs.
    free = {"training.patience"} | ({"training.max_epochs"} if config.training.schedule == "constant" else set())
    changed = sorted(_differences(before, now) - free)
    if changed:
        raise InputError(
            f"{folder} was begun with another config: {', '.join(changed)} differ. "
            f"Only {' and '.join(sorted(free))} may change on the way; else name another --out FOLDER."
        )


def _differences(before: object, now: object, key: str = "") -> set[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        return {
            each
            for name in {*before, *now}
            for each in _differences(before.get(name), now.get(name), f"{key}.{name}" if key else name)
        }
    return set() if before == now else {key}


def _next_epoch(checkpoint: Path) -> int:
    """The epoch that a resumed run begins with."""
    if not checkpoint.is_file():
        log.info("No finished epoch at %s: starting from the beginning.", checkpoint)
        return 0
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"]) + 1


def _trainer(config: TrainingConfig, folder: Path, best: ModelCheckpoint, first_epoch: int) -> pl.Trainer:
    stopping = EarlyStopping(
        best.monitor or "",
        mode=best.mode,
        patience=config.patience,
        check_finite=False,
        check_on_train_epoch_end=True,
    )
    last = ModelCheckpoint(
        folder / "checkpoints", filename="last", save_on_train_epoch_end=True, enable_version_counter=False
    )
    callbacks: list[Callback] = [
        MetricsTable(folder / "metrics.csv", first_epoch=first_epoch),
        stopping,
        best,
        last,
    ]
    if sys.stderr.isatty():
        callbacks.append(RichProgressBar(leave=False))
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    return pl.Trainer(
        accelerator=config.accelerator,
        devices=config.devices,
        strategy="ddp" if isinstance(config.devices, int) and config.devices > 1 else "auto",
        precision=config.precision,
        min_epochs=config.min_epochs,
        max_epochs=config.max_epochs,
        callbacks=callbacks,
        logger=TensorBoardLogger(folder, name="tensorboard", version=""),
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_progress_bar=sys.stderr.isatty(),
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
