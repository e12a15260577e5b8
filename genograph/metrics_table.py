"""`metrics.csv` of a run: one row an epoch."""

from __future__ import annotations

import csv
import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from genograph.atomic import replacing
from genograph.metrics import RANKING


class MetricsTable(pl.Callback):
    """Appends one row an epoch to `metrics.csv` and prints it; a resumed run goes on below the old rows."""

    def __init__(self, path: Path, *, first_epoch: int, monitor: str) -> None:
        self.path, self._started = path, 0.0
        self.scores = ["pearsonr", *([monitor] if monitor in RANKING else [])]  # told of every epoch
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
            **{f"valid_{score}": f"{float(metrics[f'valid/{score}']):.6g}" for score in self.scores},
            "seconds": f"{time.perf_counter() - self._started:.2f}",
        }
        self._rows.append(row)
        self._write()
        scores = "".join(f"valid {score} {row['valid_' + score]:<9} " for score in self.scores)
        print(
            f"epoch {row['epoch']:>3}  train loss {row['train_loss']:<9} valid loss {row['valid_loss']:<9} "
            f"{scores}{row['seconds']} s",
            flush=True,
        )

    def _read(self) -> list[dict[str, Any]]:
        if not self.path.is_file():
            return []
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file))

    def _write(self) -> None:
        with replacing(self.path) as written, written.open("w", newline="") as file:
            table = csv.DictWriter(file, list(self._rows[-1]))
            table.writeheader()
            table.writerows(self._rows)
