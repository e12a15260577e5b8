"""The training loop's parts: the Lightning module, and the callbacks that write checkpoints and `metrics.csv`."""

from __future__ import annotations

import io
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader

from genograph.atomic import replacing
from genograph.config import TrainingConfig
from genograph.dataset import WindowDataset
from genograph.errors import InputError
from genograph.graph.batch import GenomeBatch
from genograph.joint import JointWindows
from genograph.metrics import RANKING, TrackSums, is_positive
from genograph.nn.heads import Head
from genograph.nn.model import GenomeModel
from genograph.nn.optimizer import build_optimizer, clip_gradients, limit_norms, rate_share, weight_penalty

log = logging.getLogger("genograph")


class TrainingModule(pl.LightningModule):
    """A model with its loss, optimiser and validation score.

    The random numbers of a step (dropout; order and augmentation in the dataset) follow from the seed, the epoch and
    the step alone, so that a run that goes on after a kill ends with the weights of one that was not killed.
    """

    def __init__(
        self,
        model: GenomeModel,
        config: TrainingConfig,
        *,
        train: WindowDataset | JointWindows | None,
        valid: WindowDataset | JointWindows | None,
        seed: int,
    ) -> None:
        super().__init__()
        self.model, self.config, self.seed = model, config, seed
        self._train_windows, self._valid_windows = train, valid
        self._sums: dict[str, TrackSums] = {}
        self._losses: dict[str, np.ndarray] = {}
        self._ranked: dict[str, list[np.ndarray]] = {}
        self._idle: list[nn.Parameter] = []
        for part in config.freeze:
            getattr(model, part).requires_grad_(False)
        # Processes would wait for each other's moving statistics at every step of a validation, though one of them
        # may have a step less.
        self._ddp_params_and_buffers_to_ignore = [name for name, _ in self.named_buffers()]

    def train_dataloader(self) -> DataLoader:
        return self._loader(self._train_windows, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return self._loader(self._valid_windows, shuffle=False)

    def training_step(self, batch: GenomeBatch, batch_idx: int) -> Tensor:
        # At every step, as loaders draw from the same stream, and not at the same time in a run that goes on.
        torch.manual_seed(hash((self.seed, self.current_epoch, batch_idx, self.global_rank)) % 2**63)
        shares, windows = self._shares(batch)
        self._idle = self.model.idle(batch)
        loss, parts = self.model.loss(batch, shares=shares)
        if not all(np.isfinite(each) for each in self._gather(loss.detach().double().cpu().numpy())):
            self._report_divergence(parts)
        self.log("train/loss", loss, on_step=True, on_epoch=True, batch_size=windows, sync_dist=True)
        l1, l2 = self.config.l1, self.config.l2
        return loss + weight_penalty(self._trained(), l1=l1, l2=l2) if l1 or l2 else loss

    def on_after_backward(self) -> None:
        for parameter in self._idle:  # else momentum or a penalty would move the heads of other genomes
            parameter.grad = None

    def on_validation_epoch_start(self) -> None:
        self._sums = {assay: TrackSums(tracks) for assay, tracks in self.model.tracks.items()}
        self._losses = {assay: np.zeros((head.num_means, 2)) for assay, head in self.model.heads.items()}
        self._ranked = {assay: [] for assay in self.model.tracks}
        # All processes judge one model, the one that is kept: its moving statistics are the first process's.
        buffers = list(self.model.buffers())
        shared = self.trainer.strategy.broadcast([buffer.cpu() for buffer in buffers])
        for buffer, value in zip(buffers, shared, strict=True):
            buffer.copy_(value)

    def validation_step(self, batch: GenomeBatch, batch_idx: int) -> None:
        raw = self.model.raw(batch)
        for assay, prediction in self.model.rates(raw).items():
            target, mask = batch.target[assay], batch.mask[assay]
            self._losses[assay] += _summed_loss(
                self.model.heads[assay], raw[assay], target, mask, batch.coverage.get(assay)
            )
            tracks = prediction.shape[-1]
            predicted = prediction.detach().float().cpu().numpy().reshape(-1, tracks)
            observed, kept = (each.cpu().numpy().reshape(-1, tracks) for each in (target, mask))
            self._sums[assay].update(predicted, observed, kept)
            if self.config.monitor in RANKING and isinstance(self.model.heads[assay].link, nn.Sigmoid):
                self._ranked[assay].append(np.stack([predicted, np.where(kept, observed, np.nan)]))

    def on_validation_epoch_end(self) -> None:
        losses, scores = defaultdict(list), defaultdict(list)  # of each genome
        for assay, head in self.model.heads.items():
            sums, amounts = sum(self._gather(self._losses[assay])).T
            if amounts.any():
                loss = float((sums[amounts > 0] / amounts[amounts > 0]).sum())
                losses[_genome(assay)].append(head.weight * loss)
                self.log(f"valid/loss/{assay}", loss)
            pearsonr = TrackSums.from_states(self._gather(self._sums[assay].state())).pearsonr()
            scores[_genome(assay)].append(pearsonr)
            self.log(f"valid/pearsonr/{assay}", _mean(pearsonr))
        self._log_mean("loss", {genome: sum(each) for genome, each in losses.items()})
        # A track that is constant in the validation split has no correlation and does not count.
        self._log_mean("pearsonr", {genome: _mean(np.concatenate(each)) for genome, each in scores.items()})
        if self.config.monitor in RANKING:
            self._log_mean(self.config.monitor, self._ranking(RANKING[self.config.monitor]))

    def _log_mean(self, score: str, by_genome: dict[str, float]) -> None:
        """Log the mean over genomes, and where there are several that of each."""
        defined = [value for value in by_genome.values() if not math.isnan(value)]
        self.log(f"valid/{score}", sum(defined) / len(defined) if defined else math.nan)
        for genome in filter(None, by_genome):
            self.log(f"valid/{score}/{genome}", by_genome[genome])

    def configure_optimizers(self) -> dict[str, Any]:
        config = self.config
        optimizer = build_optimizer(
            self._trained(),
            config.optimizer,
            learning_rate=config.learning_rate,
            momentum=config.momentum,
            beta2=config.beta2,
            weight_decay=config.weight_decay,
        )
        steps, options = int(self.trainer.estimated_stepping_batches), {}
        if config.schedule == "cosine":
            options = {"steps": steps}
        elif config.decay is not None:
            options = {"decay": config.decay, "steps_of_epoch": steps // config.max_epochs}
        schedule = LambdaLR(optimizer, partial(rate_share, warmup=config.warmup, **options))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None) -> None:
        if self.config.clip_norm is not None:
            clip_gradients(
                self.model.parameters(),
                self.config.clip_norm,
                per_variable=self.config.clip == "per_variable",
            )

    def on_train_batch_end(self, outputs: Any, batch: GenomeBatch, batch_idx: int) -> None:
        if self.config.max_norm is not None:
            limit_norms(self._trained(), self.config.max_norm)

    def on_train_epoch_start(self) -> None:
        for part in self.config.freeze:
            getattr(self.model, part).eval()  # moving statistics and dropout stay as they are too

    def transfer_batch_to_device(self, batch: GenomeBatch, device, dataloader_idx: int) -> GenomeBatch:
        return batch.to(device, non_blocking=True)

    def _trained(self) -> list[nn.Parameter]:
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def _loader(self, windows: WindowDataset | JointWindows | None, *, shuffle: bool) -> DataLoader:
        assert windows is not None, "only a module that trains has datasets"
        if len(windows) < self.trainer.world_size:
            raise InputError(
                f"a split of {len(windows)} windows for {self.trainer.world_size} processes: each needs one. "
                "Start fewer, make batch.window smaller, or choose a larger split."
            )
        return windows.loader(
            shuffle=shuffle,
            workers=self.config.workers,
            rank=self.trainer.global_rank,
            world_size=self.trainer.world_size,
        )

    def _shares(self, batch: GenomeBatch) -> tuple[dict[str, Tensor] | None, int]:
        """How many times the mean of all processes this one measures, by assay; in how many windows all of them do.

        Times these, the mean of the processes' losses, and that of their gradients, is that of one batch of all.
        """
        if self.trainer.world_size == 1:
            return None, batch.num_windows
        asked = self.model.asked(batch)
        amounts = [
            head.amount(batch.target[assay], batch.mask[assay], batch.coverage.get(assay))
            for assay, head in asked.items()
        ]
        is_measured = torch.stack([each.flatten(1).any(dim=1) for each in batch.mask.values()]).any(dim=0)
        own = torch.stack([each.float() for each in (*amounts, is_measured.sum())])
        everyone = self.all_gather(own)
        shares = own / everyone.mean(dim=0).clamp(min=1e-9)
        return dict(zip(asked, shares[:-1], strict=True)), int(everyone[:, -1].sum())

    def _gather(self, state: np.ndarray) -> list[np.ndarray]:
        """The same array of every process."""
        if self.trainer.world_size == 1:
            return [state]
        return list(self.all_gather(torch.as_tensor(state, device=self.device)).cpu().numpy())

    def _ranking(self, measure: Callable[[np.ndarray, np.ndarray], float]) -> dict[str, float]:
        """Mean over a genome's tracks of peaks and fractions of how well positives rank, over all processes."""
        mine = {assay: np.concatenate(each, axis=1) for assay, each in self._ranked.items() if each}
        everyone: list[Any] = [mine]
        if self.trainer.world_size > 1:
            everyone = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(everyone, mine)
        values = {_genome(assay): [] for assay in self.model.heads}
        for assay in (assay for assay in self.model.heads if any(assay in each for each in everyone)):
            prediction, target = np.concatenate([each[assay] for each in everyone if assay in each], axis=1)
            label = np.where(np.isnan(target), np.nan, is_positive(target))
            tracks = range(label.shape[1])
            values[_genome(assay)] += [measure(label[:, track], prediction[:, track]) for track in tracks]
        return {genome: _mean(each) for genome, each in values.items()}

    def _report_divergence(self, parts: dict[str, Tensor]) -> None:
        named = ", ".join(f"{assay} {float(value):g}" for assay, value in parts.items())
        raise InputError(
            f"the loss is not finite at step {self.global_step} of epoch {self.current_epoch} ({named}). "
            f"Lower training.learning_rate ({self.config.learning_rate:g}), set training.clip_norm, or scale and "
            "clip the tracks of that assay in the targets table."
        )


def _summed_loss(head: Head, raw: Tensor, target: Tensor, mask: Tensor, coverage: Tensor | None) -> np.ndarray:
    """Sum and amount of each mean that an assay's loss adds up: (means, 2).

    Added over batches and processes they give the loss of all values in one batch, whichever windows share one here.
    """
    mean, amount = head.means(raw, target, mask, coverage).detach().cpu().double().numpy().T
    return np.stack([mean * amount, amount], axis=1)


def _genome(assay: str) -> str:
    """Of several genomes, that of a head named `genome/assay`; empty where there is one."""
    return assay.rpartition("/")[0]


def _mean(values: Iterable[float]) -> float:
    """Mean of what is defined; NaN if nothing is."""
    values = np.array([*values], dtype=float)
    defined = values[np.isfinite(values)]
    return float(defined.mean()) if len(defined) else math.nan


class Checkpoints(Checkpoint):
    """Writes `best.ckpt` and `last.ckpt`, and ends a run that does not get better.

    An epoch whose score is not defined is never the best. All that it knows is the state below, which is in
    `last.ckpt`: a run goes on under another folder name, or with more patience or epochs, as if it had begun so.

    Attributes:
        epochs: Finished epochs.
        best_score: NaN before the first defined one.
        waited: Epochs since the best.
        begun: SHA-256 of the files that parts of the model began with, by part.
    """

    def __init__(self, folder: Path, config: TrainingConfig) -> None:
        self.best, self.last, self.config = folder / "best.ckpt", folder / "last.ckpt", config
        self.epochs, self.best_score, self.waited = 0, math.nan, 0
        self.begun: dict[str, str] = {}

    @property
    def is_over(self) -> bool:
        """Whether no epoch is left to train."""
        out_of_patience = self.epochs >= self.config.min_epochs and self.waited >= self.config.patience
        return self.epochs >= self.config.max_epochs or out_of_patience

    def resume(self) -> None:
        """Take the state of `last.ckpt`; without one, or if it is damaged, stay at the beginning."""
        if self.last.is_file():
            content = io.BytesIO(self.last.read_bytes())
            try:
                checkpoint = torch.load(content, map_location="cpu", weights_only=True)
                self.load_state_dict(checkpoint["callbacks"][self.state_key])
            except Exception as error:  # of many kinds, as the file may end anywhere
                log.warning("%s is damaged (%s).", self.last, " ".join(str(error).split()) or type(error).__name__)

    def state_dict(self) -> dict[str, Any]:
        return {"epochs": self.epochs, "best_score": self.best_score, "waited": self.waited, "begun": self.begun}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.epochs, self.best_score = state_dict["epochs"], state_dict["best_score"]
        self.waited = state_dict["waited"]
        self.begun = state_dict.get("begun", {})  # older ones do not know it

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        score = float(trainer.callback_metrics[f"valid/{self.config.monitor}"])
        self.epochs, self.waited = self.epochs + 1, self.waited + 1
        if self._is_better(score):
            self.best_score, self.waited = score, 0
            self._save(trainer, self.best, weights_only=True)
        # The last one comes last: after a kill in between the epoch is trained again and gives the same best one.
        self._save(trainer, self.last)
        trainer.should_stop = self.is_over

    def _save(self, trainer: pl.Trainer, path: Path, *, weights_only: bool = False) -> None:
        """All processes take part, and the first one writes. Lightning alone may copy over the old one bit by bit."""
        with replacing(path) if trainer.is_global_zero else nullcontext(path) as written:
            trainer.save_checkpoint(written, weights_only=weights_only)

    def _is_better(self, score: float) -> bool:
        if not math.isfinite(score) or math.isnan(self.best_score):
            return math.isfinite(score)
        return score < self.best_score if self.config.monitor == "loss" else score > self.best_score
