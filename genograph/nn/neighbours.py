"""The CpGs that cells cover beside a bin -> an embedding of the bin: DeepCpG's CpG networks.

Angermueller, Lee, Reik & Stegle 2017, Genome Biology 18:67.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from genograph.nn.blocks import Count, Probability, initialise
from genograph.nn.encoders.recurrent import Recurrent, RecurrentSpec


class DeepCpGNeighbours(nn.Module):
    """Reads state and distance of the nearest CpGs of every cell by dense layers, then all cells by a recurrent one.

    The defaults are DeepCpG's RnnL1: 813,824 parameters. RnnL2 has two recurrent layers, and FcAvg none: the mean over
    cells. There may be any number of cells; a recurrent layer learns their order.

    Args:
        count: CpGs on each side that a cell covers.
        max_distance: bp, at which a distance counts as 1; so does that of a CpG that there is not.
        hidden: Widths of the dense layers, the same for all cells; linear, ReLU, dropout each.
        dropout: Probability after each of these.
        recurrent: Over the cells, one after another; the last states of the last one go on. None at all: the mean.

    Attributes:
        channels: Of an embedding.
        count: As above.
    """

    def __init__(
        self,
        *,
        count: Count = 25,
        max_distance: Count = 25_000,
        hidden: tuple[Count, ...] = (256,),
        dropout: Probability = 0.0,
        recurrent: tuple[RecurrentSpec, ...] = (RecurrentSpec(cell="gru", width=256),),
    ) -> None:
        super().__init__()
        self.count, self.max_distance, self.channels = count, max_distance, 4 * count
        self.dense = nn.Sequential()
        for width in hidden:
            linear = nn.Linear(self.channels, width)
            initialise(linear.weight, "glorot_uniform")
            nn.init.zeros_(linear.bias)
            self.dense.append(nn.Sequential(linear, nn.ReLU(), nn.Dropout(dropout)))
            self.channels = width
        self.recurrent = nn.ModuleList()
        for spec in (RecurrentSpec.model_validate(each) for each in recurrent):
            self.recurrent.append(Recurrent(self.channels, spec))
            self.channels = 2 * spec.width

    def forward(self, state: Tensor, distance: Tensor) -> Tensor:
        """Embeddings (bins, channels).

        Args:
            state: (bins, cells, 2 count) methylated fractions, NaN where there is no CpG, which counts as a half.
            distance: Likewise, in bp.
        """
        state = torch.where(state.isnan(), 0.5, state)
        distance = torch.where(distance.isnan(), self.max_distance, distance).clamp(max=self.max_distance)
        cells = self.dense(torch.cat([state, distance / self.max_distance], dim=2)).transpose(0, 1)
        if not self.recurrent:
            return cells.mean(dim=0)
        for layer in self.recurrent[:-1]:
            cells = layer.each(cells)
        return self.recurrent[-1].last(cells)


NEIGHBOURS = {"deepcpg": DeepCpGNeighbours}
