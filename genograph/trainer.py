"""The training loop's parts: the Lightning module, and the callback that writes `metrics.csv`."""

from __future__ import annotations

import csv
import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from genograph.config import TrainingConfig
from genograph.dataset import WindowDataset
from genograph.errors import InputError
from genograph.graph.batch import GenomeBatch
from genograph.metrics import TrackSums
from genograph.nn.model import GenomeModel
from genograph.nn.optimizer import build_optimizer, clip_gradients, rate_share


class TrainingModule(pl.LightningModule):
    """A model with its loss, optimiser and validation score.

    The random numbers of an epoch (dropout; order and augmentation in the dataset) follow from the seed and
    the epoch alone, so that a run that goes on after a kill ends with the weights of one that was not killed.
    """

    def __init__(
        self,
        model: GenomeModel,
        config: TrainingConfig,
        *,
        train: WindowDataset | None,
        valid: WindowDataset | None,
        seed: int,
    ) -> None:
        super().__init__()
        self.model, self.config, self.seed = model, config, seed
        self._train_windows, self._valid_windows = train, valid
        self._sums: dict[str, TrackSums] = {}
        self._loss = np.zeros(2)  # sum, batches

    def train_dataloader(self) -> DataLoader:
        return self._loader(self._train_windows, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self._loader(self._valid_windows, shuffle=False)

    def on_train_epoch_start(self) -> None:
        torch.manual_seed(hash((self.seed, self.current_epoch, self.global_rank)) % 2**63)

    def training_step(self, batch: GenomeBatch, batch_idx: int) -> torch.Tensor:
        loss, parts = self.model.loss(batch)
        if not torch.isfinite(loss):
            self._report_divergence(parts)
        self.log("train/loss", loss, on_step=True, on_epoch=True, prog_bar=True, batch_size=batch.num_windows)
        return loss

    def on_validation_epoch_start(self) -> None:
        self._sums = {assay: TrackSums(tracks) for assay, tracks in self.model.tracks.items()}
        self._loss = np.zeros(2)

    def validation_step(self, batch: GenomeBatch, batch_idx: int) -> None:
        raw = self.model.raw(batch)
        loss, _ = self.model.loss(batch, raw)
        self._loss += [float(loss), 1]
        for assay, prediction in self.model.rates(raw).items():
            tracks = prediction.shape[-1]
            self._sums[assay].update(
                prediction.detach().float().cpu().numpy().reshape(-1, tracks),
                batch.target[assay].cpu().numpy().reshape(-1, tracks),
                batch.mask[assay].cpu().numpy().reshape(-1, tracks),
            )

    def on_validation_epoch_end(self) -> None:
        loss = sum(self._gather(self._loss))
        self.log("valid/loss", float(loss[0] / loss[1]), prog_bar=True)
        scores = []
        for assay, sums in self._sums.items():
            pearsonr = TrackSums.from_states(self._gather(sums.state())).pearsonr()
            scores.append(pearsonr)
            self.log(f"valid/pearsonr/{assay}", _mean(pearsonr))
        # A track that is constant in the validation split has no correlation and does not count.
        self.log("valid/pearsonr", _mean(np.concatenate(scores)), prog_bar=True)

    def configure_optimizers(self) -> dict[str, Any]:
        config = self.config
        optimizer = build_optimizer(
            self.model.parameters(),
            config.optimizer,
            learning_rate=config.learning_rate,
            momentum=config.momentum,
            beta2=config.beta2,
            weight_decay=config.weight_decay,
        )
        steps = int(self.trainer.estimated_stepping_batches) if config.schedule == "cosine" else None
        schedule = LambdaLR(optimizer, partial(rate_share, warmup=config.warmup, steps=steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None) -> None:
        if self.config.clip_norm is not None:
            clip_gradients(
                self.model.parameters(),
                self.config.clip_norm,
                per_variable=self.config.clip == "per_variable",
            )

    def transfer_batch_to_device(self, batch: GenomeBatch, device, dataloader_idx: int) -> GenomeBatch:
        return batch.to(device, non_blocking=True)

    def _loader(self, windows: WindowDataset | None, *, shuffle: bool) -> DataLoader:
        assert windows is not None, "only a module that trains has datasets"
        return windows.loader(
            shuffle=shuffle,
            workers=self.config.workers,
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
        )

    def _gather(self, state: np.ndarray) -> list[np.ndarray]:
        """The same array of every process."""
        gathered = self.all_gather(torch.as_tensor(state, device=self.device))
        return list(np.asarray(gathered.cpu())) if self.trainer.world_size > 1 else [np.asarray(gathered.cpu())]

    def _report_divergence(self, parts: dict[str, torch.Tensor]) -> None:
        named = ", ".join(f"{assay} {float(value):g}" for assay, value in parts.items())
        raise InputError(
            f"the loss is not finite at step {self.global_step} of epoch {self.current_epoch} ({named}). "
            f"Lower training.learning_rate ({self.config.learning_rate:g}), set training.clip_norm, or scale and "
            "clip the tracks of that assay in the targets table."
        )


def _mean(values: np.ndarray) -> float:
    """Mean of what is defined; NaN if nothing is."""
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else math.nan


class MetricsTable(pl.Callback):
    """Appends one row an epoch to `metrics.csv` and prints it; a resumed run goes on below the old rows."""

    COLUMNS = ("epoch", "step", "train_loss", "valid_loss", "valid_pearsonr", "seconds")

    def __init__(self, path: Path, *, first_epoch: int) -> None:
        self.path, self._started = path, 0.0
        self._rows = [row for row in self._read() if int(row["epoch"]) < first_epoch]

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        metrics = trainer.callback_metrics
        row = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "train_loss": f"{float(metrics['train/loss_epoch']):.6g}",
            "valid_loss": f"{float(metrics['valid/loss']):.6g}",
            "valid_pearsonr": f"{float(metrics['valid/pearsonr']):.6g}",
            "seconds": f"{time.perf_counter() - self._started:.2f}",
        }
        self._rows.append(row)
        self._write()
        print(
            f"epoch {row['epoch']:>3}  train loss {row['train_loss']:<9} valid loss {row['valid_loss']:<9} "
            f"valid pearsonr {row['valid_pearsonr']:<9} {row['seconds']} s",
            flush=True,
        )

    def _read(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file))

    def _write(self) -> None:
        partial = self.path.with_suffix(".partial")
        with partial.open("w", newline="") as file:
            table = csv.DictWriter(file, self.COLUMNS)
            table.writeheader()
            table.writerows(self._rows)
        partial.rename(self.path)
