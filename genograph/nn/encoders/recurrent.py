"""Bidirectional LSTM and GRU as Keras and TensorFlow counted their parameters: each gate has one bias.

torch's own have two, and its GRU resets the state after, not before, the matrix of the candidate. Initialisation is
Keras': Glorot-uniform input kernels, orthogonal state kernels, biases of 0, of 1 at the forget gate.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from genograph.nn.blocks import Count, Probability


class RecurrentSpec(BaseModel):
    """A recurrent layer as a config writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cell: Literal["lstm", "gru"]
    width: Count  # channels of each direction
    dropout: Probability = 0.0


class LSTM(nn.Module):
    """The states of an LSTM (Hochreiter and Schmidhuber 1997): `4 width (channels + width + 1)` parameters."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.input, self.state = nn.Linear(channels, 4 * width), nn.Linear(width, 4 * width, bias=False)
        _initialise(self.input, self.state)
        nn.init.ones_(self.input.bias[width : 2 * width])

    def forward(self, steps: Tensor) -> list[Tensor]:
        """The state after each step, (N, width), of (length, N, channels)."""
        inputs, states = self.input(steps), []
        state = memory = inputs.new_zeros(inputs.shape[1], self.state.in_features)
        for each in inputs:
            write, forget, value, read = (each + self.state(state)).chunk(4, dim=1)
            memory = forget.sigmoid() * memory + write.sigmoid() * value.tanh()
            state = read.sigmoid() * memory.tanh()
            states.append(state)
        return states


class GRU(nn.Module):
    """The states of a GRU (Cho et al. 2014): `3 width (channels + width + 1)` parameters.

    Its gates are Keras' hard sigmoids of that time, `0.2 x + 0.5` cut to 0 and 1.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.input, self.state = nn.Linear(channels, 3 * width), nn.Linear(width, 3 * width, bias=False)
        _initialise(self.input, self.state)

    def forward(self, steps: Tensor) -> list[Tensor]:
        """The state after each step, (N, width), of (length, N, channels)."""
        inputs, width, states = self.input(steps), self.state.in_features, []
        of_gates, of_value = self.state.weight.split([2 * width, width])
        state = inputs.new_zeros(inputs.shape[1], width)
        for each in inputs:
            gates = 0.2 * (each[:, : 2 * width] + F.linear(state, of_gates)) + 0.5
            keep, reset = gates.clamp(0, 1).chunk(2, dim=1)
            value = (each[:, 2 * width :] + F.linear(reset * state, of_value)).tanh()
            state = keep * state + (1 - keep) * value
            states.append(state)
        return states


CELLS = {"lstm": LSTM, "gru": GRU}


class Recurrent(nn.Module):
    """Both directions over the steps of a sequence, side by side.

    Args:
        channels: Of a step.
        spec: Of the layer.
    """

    def __init__(self, channels: int, spec: RecurrentSpec) -> None:
        super().__init__()
        cell = CELLS[spec.cell]
        self.ahead, self.back = cell(channels, spec.width), cell(channels, spec.width)
        self.dropout = nn.Dropout(spec.dropout)

    def forward(self, image: Tensor) -> Tensor:
        """The last states (N, 2 width) over the positions of images (N, channels, 1, length)."""
        return self.last(image.squeeze(2).permute(2, 0, 1))

    def last(self, steps: Tensor) -> Tensor:
        """The last state of each direction, (N, 2 width), of (length, N, channels)."""
        return self.dropout(torch.cat([self.ahead(steps)[-1], self.back(steps.flip(0))[-1]], dim=1))

    def each(self, steps: Tensor) -> Tensor:
        """What each direction has read up to every step, (length, N, 2 width), of (length, N, channels)."""
        ahead, back = torch.stack(self.ahead(steps)), torch.stack(self.back(steps.flip(0))).flip(0)
        return self.dropout(torch.cat([ahead, back], dim=2))


def _initialise(inputs: nn.Linear, state: nn.Linear) -> None:
    nn.init.xavier_uniform_(inputs.weight)
    nn.init.zeros_(inputs.bias)
    nn.init.orthogonal_(state.weight)
