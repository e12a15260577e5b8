"""Weights of a module of others, from the files that torch and safetensors write."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from genograph.errors import InputError


def load_weights(module: nn.Module, path: Path, *, prefix: str = "") -> None:
    """Give a module the weights in a `.safetensors` file or a state dict that `torch.save` wrote.

    Args:
        module: What to fill, in place.
        path: The file; of one of torch only tensors are read, no code.
        prefix: What the module's names begin with in the file, such as `trunk.`; other names there are left alone.

    Raises:
        InputError: If it cannot be read, or names or shapes are not the module's.

    >>> there, here = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    >>> torch.save({f"trunk.{name}": tensor for name, tensor in there.state_dict().items()}, "trunk.pt")
    >>> load_weights(here, Path("trunk.pt"), prefix="trunk.")
    >>> torch.equal(here.weight, there.weight)
    True
    """
    given = {name.removeprefix(prefix): each for name, each in _read(path).items() if name.startswith(prefix)}
    own = module.state_dict()
    wrong = sorted({*given} ^ {*own}) or sorted(name for name in own if given[name].shape != own[name].shape)
    if wrong:
        told = "is missing" if wrong[0] not in given else "is not in the module" if wrong[0] not in own else "differs"
        raise InputError(f"{path} has other weights than {type(module).__name__}: {wrong[0]} {told}.")
    if not any(tensor.is_meta for tensor in own.values()):  # such a module has no values, only shapes
        module.load_state_dict(given)


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        state = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}.") from None
    except (SafetensorError, pickle.UnpicklingError, RuntimeError) as error:
        raise InputError(f"{path} holds no weights: {str(error).partition(chr(10))[0]}") from None
    if not isinstance(state, Mapping) or not all(isinstance(each, Tensor) for each in state.values()):
        raise InputError(f"{path} holds no state dict, of tensors by name. Save module.state_dict().")
    return state
