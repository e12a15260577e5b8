"""State dicts of other packages' models as genograph's and back, and sequence for a model without a store.

Layers are renamed and kernels turned; no number changes. `docs/weights.md` says how to use them.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from genograph.errors import InputError
from genograph.genome.assembly import encode
from genograph.graph.batch import GenomeBatch


def _basenji2_layers() -> dict[str, str]:
    """Each layer of basenji2-pytorch that has weights, and its counterpart."""
    blocks = [("trunk.0", "encoder.tower.0.conv", "encoder.tower.0.norm")]
    blocks += [(f"trunk.1.tower.{i}", f"encoder.tower.{i + 1}.conv", f"encoder.tower.{i + 1}.norm") for i in range(6)]
    for i in range(11):
        theirs, ours = f"trunk.2.block.{i}.module", f"processor.layers.0.residuals.{i}"
        blocks += [(f"{theirs}.0", f"{ours}.dilated.conv", f"{ours}.dilated.norm")]
        blocks += [(f"{theirs}.1", f"{ours}.project", f"{ours}.norm")]
    blocks += [("trunk.4", "trunk.block.conv", "trunk.block.norm")]  # trunk.3 crops
    layers = {"model.head.final.block.1": "heads.coverage.linear"}
    for theirs, conv, norm in blocks:
        layers |= {f"model.{theirs}.block.1": conv, f"model.{theirs}.block.2": norm}
    return layers


_BASENJI2 = _basenji2_layers()
_BASSET = {
    "0": "encoder.convs.0.conv",
    "1": "encoder.convs.0.norm",
    "4": "encoder.convs.1.conv",
    "5": "encoder.convs.1.norm",
    "8": "encoder.convs.2.conv",
    "9": "encoder.convs.2.norm",
    "13.1": "encoder.dense.0.0",
    "14": "encoder.dense.0.1",
    "17.1": "encoder.dense.1.0",
    "18": "encoder.dense.1.1",
    "21.1": "heads.accessibility.linear",
}


def basenji2_from_pytorch(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of `configs/basenji2.yaml`'s model with the weights of basenji2-pytorch 0.1.2's `Basenji2`.

    Its GELU is the exact one: the same output needs `activation: gelu_erf` in encoder, processor and trunk.

    Args:
        state: With any number of tracks; kernels are (filters, channels, positions).

    Raises:
        InputError: If a layer is missing, or one is there that the model has not.
    """
    renamed = _rename(state, _BASENJI2, "basenji2-pytorch's Basenji2")
    return {name: _as_image_kernel(name, tensor) for name, tensor in renamed.items()}


def basenji2_to_pytorch(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inverse of `basenji2_from_pytorch`: the state dict of basenji2-pytorch 0.1.2's `Basenji2`.

    Raises:
        InputError: If a layer is missing, or one is there that `configs/basenji2.yaml` has not.
    """
    kernels = {name: _as_sequence_kernel(name, tensor) for name, tensor in state.items()}
    return _rename(kernels, {ours: theirs for theirs, ours in _BASENJI2.items()}, "configs/basenji2.yaml")


def basset_from_torch7(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of `configs/basset.yaml`'s model with Basset's published weights, as Kipoi ported them.

    Args:
        state: Of the nested `nn.Sequential` of `Basset/pretrained_model_reloaded_th.py` in kipoi/models: kernels are
            (filters, channels, positions, 1), channels of sequence are A, C, G, T, the first dense layer reads
            (channels, positions) flattened.

    Raises:
        InputError: If a layer is missing, or one is there that the model has not.
    """
    renamed = _rename(state, _BASSET, "Kipoi's Basset")
    return {name: tensor.transpose(2, 3) if tensor.ndim == 4 else tensor for name, tensor in renamed.items()}


def sequence_batch(sequence: str, *, bin_size: int, crop: int = 0) -> GenomeBatch:
    """A batch of one window that is all of a sequence, with no contacts, for a model that reads whole windows.

    Args:
        sequence: A, C, G, T in either case; all else counts as N.
        bin_size: bp of a bin.
        crop: Bins at both ends that are not predicted.

    Raises:
        InputError: If the sequence is not of whole bins, or cropping leaves none of them.
    """
    bins, rest = divmod(len(sequence), bin_size)
    if rest or bins <= 2 * crop:
        raise InputError(
            f"the sequence has {len(sequence):,} bp: it must be a multiple of {bin_size}, of more than "
            f"{2 * crop * bin_size:,} bp."
        )
    return GenomeBatch(
        codes=torch.from_numpy(encode(sequence))[None],
        source=torch.arange(bins),
        layout=((1, bins),),
        crop=crop,
        node_of_bin=torch.full((bins,), -1),
        num_nodes=0,
        edge_index=torch.empty(2, 0, dtype=torch.long),
        edge_attr=torch.empty(0, 0),
        position=torch.full((1, bins - 2 * crop), -1),
    )


def _rename(state: Mapping[str, Tensor], layers: Mapping[str, str], model: str) -> dict[str, Tensor]:
    """The same tensors under the names of the layers' counterparts."""
    found = {key: key.rpartition(".") for key in state}
    for key, (layer, _, _) in found.items():
        if layer not in layers:
            raise InputError(f"'{key}' is no tensor of {model}. Give the state dict of that model alone.")
    missing = [layer for layer in layers if f"{layer}.weight" not in state]
    if missing:
        raise InputError(f"the state dict has no '{missing[0]}.weight' of {model}. Give that of the whole model.")
    return {f"{layers[layer]}.{tensor}": state[key] for key, (layer, _, tensor) in found.items()}


def _as_image_kernel(name: str, tensor: Tensor) -> Tensor:
    """(filters, channels, positions) as (filters, channels, 1, positions), or as the matrix of a projection."""
    if name.endswith("project.weight"):
        return tensor.squeeze(2)
    return tensor.unsqueeze(2) if tensor.ndim == 3 else tensor


def _as_sequence_kernel(name: str, tensor: Tensor) -> Tensor:
    """The inverse of `_as_image_kernel`."""
    if name.endswith("project.weight"):
        return tensor.unsqueeze(2)
    return tensor.squeeze(2) if tensor.ndim == 4 else tensor
