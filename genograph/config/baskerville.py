"""The params JSON of Basenji and Baskerville as a config: model, augmentation and training, without data.

What genograph's blocks cannot do is refused by name, and what they leave out is logged: a model that is read is the
model that was meant. Blocks are those of Kelley 2020 (PLoS Computational Biology 16:e1008050). What a JSON leaves
out is what Basenji and Baskerville make of that (their trainer.py and blocks.py), never a default of genograph.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

from genograph.errors import InputError, nearest

BLOCKS = {
    "conv_dna": "n",
    "conv_block": "b",
    "conv_tower": "t",
    "dilated_residual": "d",
    "Cropping1D": "x",
    "dense_block": "f",
}
HEADS = ("final", "dense")

_ORDER = re.compile("[nbt][bt]*d*x?bx?")
_FLAT = re.compile("n[bt]*f")  # the sequence as one, as Basset's is read

log = logging.getLogger("genograph")


class _Keys:
    """The keys of one JSON object: each is asked for, and none may be left over."""

    def __init__(self, tree: Any, where: str) -> None:
        if not isinstance(tree, Mapping):
            raise InputError(f"{where}: expected an object; got {tree!r}.")
        self.rest, self.where, self.asked = dict(tree), where, []

    def take(self, key: str, default: Any = None) -> Any:
        self.asked.append(key)
        return self.rest.pop(key, default)

    def number(self, key: str, default: float | None = None) -> Any:
        value = self.take(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
            raise InputError(f"{self.where}.{key}: a number is needed; got {value!r}.")
        return value

    def only(self, key: str, *allowed: Any, default: Any) -> Any:
        """A key that can have these values and no others; `default` is what it is where it is left out."""
        found = "got" if key in self.rest else "left out, it is"
        value = self.take(key, default)
        if value not in allowed:
            known = " or ".join(json.dumps(each) for each in allowed)
            raise InputError(f"{self.where}.{key}: genograph has {known} only; {found} {json.dumps(value)}.")
        return value

    def leave_out(self, key: str, why: str) -> None:
        if key in self.rest:
            log.warning("%s.%s = %s is left out: %s.", self.where, key, json.dumps(self.take(key)), why)

    def done(self) -> None:
        for key in self.rest:
            raise InputError(f"{self.where}: '{key}' is nothing that genograph can do.{nearest(key, self.asked)}")


def read_params(path: str | Path) -> dict[str, Any]:
    """The config tree of a params JSON; `tfrecords`, or `genome`, `tracks` and `splits`, are to be added.

    All tracks are one head, `coverage` (`accessibility` with loss bce).

    Raises:
        InputError: If the file is no params JSON, or asks for what genograph cannot do; block or key are named.
    """
    path = Path(path)
    try:
        tree = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is no JSON: {error}") from None
    top = _Keys(tree, str(path))
    model, train = _Keys(top.take("model"), f"{path}: model"), _Keys(top.take("train", {}), f"{path}: train")
    top.done()
    length = model.number("seq_length")
    encoder, processor, trunk, crop = _read_trunk(model, length)
    is_flat = trunk is None
    bin_size = length if is_flat else prod(block["pool"] ** len(block["filters"]) for block in encoder["blocks"])
    window, remainder = divmod(length, bin_size)
    if remainder:
        raise InputError(f"{model.where}.seq_length: must be a multiple of {bin_size}, which the blocks pool.")
    model.only("target_length", window, window - 2 * crop, default=window)
    augment = {
        "reverse_complement": model.only("augment_rc", True, False, default=False),
        "shift": model.number("augment_shift", 0),
    }
    heads = _read_head(model, train)
    model.leave_out("l2_scale", "weights are not drawn to zero; training.weight_decay can do so")
    model.leave_out("verbose", "it is about printing")
    model.done()
    batch = {"window": window, "crop": crop, "size": train.number("batch_size")}
    return {
        "name": re.sub(r"[^\w.+-]", "_", path.stem),
        "source": f"the params file {path.name}",
        **({"sites": {"source": "peaks"}} if is_flat else {"bins": {"bin_size": bin_size}}),
        "batch": batch,
        "augment": augment,
        "model": {"encoder": encoder, "processor": processor, "trunk": trunk, "heads": heads},
        "training": _read_training(train, is_bce="accessibility" in heads),
    }


def _read_trunk(model: _Keys, length: int) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any] | None, int]:
    """Encoder, processor, trunk and the bins cropped on both sides; no trunk if the `length` bp are read as one."""
    trunk = model.take("trunk")
    if not isinstance(trunk, list) or not all(isinstance(block, Mapping) and "name" in block for block in trunk):
        raise InputError(f"{model.where}.trunk: expected a list of blocks, each with a name.")
    foreign = [str(block["name"]) for block in trunk if block["name"] not in BLOCKS]
    if foreign:
        raise InputError(
            f"{model.where}.trunk: genograph has no block {', '.join(dict.fromkeys(foreign))}. "
            f"It has {', '.join(BLOCKS)}."
        )
    activation = _read_in_common(model)
    convs, processor, dense, crop = [], [], {}, 0
    for number, block in enumerate(trunk):
        keys = _Keys(block, f"{model.where}.trunk[{number}]")
        name = keys.take("name")
        if name == "Cropping1D":
            crop += keys.number("cropping")
        elif name == "dilated_residual":
            processor.append({"name": "dilated"} | _dilated(keys) | {"activation": activation})
        elif name == "dense_block":
            dense = _dense(keys)
        else:
            convs.append(_tower(keys) if name == "conv_tower" else _conv(keys, 15 if name == "conv_dna" else 1))
        keys.only("activation", activation, default=activation)
        keys.only("norm_type", "batch", default="batch")
        keys.done()
    names = [block["name"] for block in trunk]
    order = "".join(BLOCKS[name] for name in names)
    if _FLAT.fullmatch(order):
        if length % (pooled := prod(block["pool"] ** len(block["filters"]) for block in convs)):
            raise InputError(f"{model.where}.seq_length: must be a multiple of {pooled}, which the blocks pool.")
        shared = {
            "activation": activation,
            "padding": "same",
            "order": "act_conv_norm",
            "norm_eps": 1e-3,
            "bias": False,
        }
        return {"name": "basset", "input_length": length, "blocks": convs, **dense, **shared}, [], None, 0
    if not _ORDER.fullmatch(order):
        raise InputError(
            f"{model.where}.trunk: the blocks are {', '.join(names)}. genograph reads conv_dna, conv_block or "
            "conv_tower, then conv_block and conv_tower, then dilated_residual, then one conv_block, with a Cropping1D "
            "before or after it; or conv_dna, conv_block and conv_tower, then one dense_block."
        )
    last = convs.pop()
    if last["kernel"] != 1 or last["pool"] != 1:
        raise InputError(f"{model.where}.trunk: the last conv_block has kernel_size 1 and no pool_size in genograph.")
    stem = "conv_dna" if names[0] == "conv_dna" else "conv_block"
    encoder = {"name": "basenji", "blocks": convs, "activation": activation, "stem": stem}
    shared = {"filters": last["filters"][0], "dropout": last["dropout"], "activation": activation}
    return encoder, processor, shared, crop


def _read_in_common(model: _Keys) -> str:
    """The activation; what all blocks have in common beside it must be what genograph's have."""
    activation = model.only("activation", "gelu", "relu", default=None)
    if "batch_norm" in model.rest:
        model.only("batch_norm", True, default=None)
    else:
        model.only("norm_type", "batch", default=None)
    model.only("bn_momentum", 0.9, default=0.99)
    model.only("kernel_initializer", "he_normal", default="he_normal")
    return activation


def _conv(keys: _Keys, kernel: int) -> dict[str, Any]:
    return {"filters": [keys.number("filters")], **_convolution(keys, kernel)}


def _tower(keys: _Keys) -> dict[str, Any]:
    """Blocks whose widths grow by a factor, rounded to multiples of `divisible_by` only where they are used."""
    width, repeat, divisor = keys.number("filters_init"), keys.number("repeat", 1), keys.number("divisible_by", 1)
    if "filters_end" in keys.rest:
        end = keys.number("filters_end")
        growth = (end / width) ** (1 / (repeat - 1)) if repeat > 1 else 1.0
    else:
        growth = keys.number("filters_mult")
    widths = [round(width * growth**step / divisor) * divisor for step in range(repeat)]
    return {"filters": widths, **_convolution(keys, 1)}


def _convolution(keys: _Keys, kernel: int) -> dict[str, Any]:
    return {
        "kernel": keys.number("kernel_size", kernel),
        "pool": keys.number("pool_size", 1),
        "dropout": keys.number("dropout", 0.0),
    }


def _dense(keys: _Keys) -> dict[str, Any]:
    keys.only("flatten", True, default=False)
    return {"hidden": [keys.number("units")], "dropout": keys.number("dropout", 0.0)}


def _dilated(keys: _Keys) -> dict[str, Any]:
    rate = keys.number("rate_mult")
    if not keys.take("round", False) and rate != int(rate):
        raise InputError(
            f'{keys.where}.rate_mult: {rate} makes dilations that are no whole numbers; add "round": true.'
        )
    return {
        "filters": keys.number("filters"),
        "kernel": keys.number("kernel_size", 3),
        "layers": keys.number("repeat"),
        "rate_multiplier": rate,
        "dropout": keys.number("dropout", 0.0),
    }


def _read_head(model: _Keys, train: _Keys) -> dict[str, dict[str, Any]]:
    """The one head: its tracks, link and loss."""
    names = [key for key in model.rest if key.startswith("head")]
    if len(names) != 1:
        raise InputError(f"{model.where}: genograph reads one head; got {', '.join(names) or 'none'}. Leave one.")
    tree = model.take(names[0])
    head = _Keys(tree[0] if isinstance(tree, list) and len(tree) == 1 else tree, f"{model.where}.{names[0]}")
    head.only("name", *HEADS, default=None)
    tracks, loss = head.number("units"), train.only("loss", "poisson", "poisson_mn", "bce", default="poisson")
    head.only("activation", "sigmoid" if loss == "bce" else "softplus", default=None)
    head.done()
    if loss == "bce":
        return {"accessibility": {"tracks": tracks, "loss": "bce"}}
    if loss == "poisson_mn":
        train.only("total_weight", 0.2, default=1)
    return {"coverage": {"tracks": tracks, "loss": "poisson_multinomial" if loss == "poisson_mn" else "poisson"}}


def _read_training(train: _Keys, *, is_bce: bool) -> dict[str, Any]:
    """Optimiser and epochs. What is watched is that of Basenji's `fit_keras`: its own loop, r + R2 / 4, is not here."""
    optimizer = train.only("optimizer", "sgd", "adam", default="sgd")
    if optimizer == "sgd":
        betas = {"momentum": train.number("momentum", 0.99)}
    else:
        betas = {"momentum": train.number("adam_beta1", 0.9), "beta2": train.number("adam_beta2", 0.999)}
    clips = [key for key in ("clip_norm", "global_clipnorm") if key in train.rest]
    if len(clips) > 1:
        raise InputError(f"{train.where}: clip_norm and global_clipnorm are one or the other in genograph.")
    training = {
        "optimizer": optimizer,
        "learning_rate": train.number("learning_rate", 0.01),
        **betas,
        "clip": "global" if clips == ["global_clipnorm"] else "per_variable",
        "clip_norm": train.number(clips[0]) if clips else None,
        "warmup": train.number("warmup_steps", 0),
        "patience": train.number("patience", 20),
        "min_epochs": train.number("train_epochs_min", 1),
        "max_epochs": train.number("train_epochs_max", 10_000),
        "monitor": "loss" if is_bce else "pearsonr",
    }
    train.leave_out("shuffle_buffer", "every epoch shuffles all windows")
    train.leave_out("train_epochs", "Basenji reads train_epochs_min and train_epochs_max only")
    for key in ("momentum", "adam_beta1", "adam_beta2"):
        train.leave_out(key, f"optimizer {optimizer} has none")
    train.done()
    return training
