"""An encoder that knows a simulated world's motifs and grammar, so that only the graph is left to learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genograph.simulate.grammar import ALONE, PAIR_GAP, PAIRED, REPRESSION, Motif


def read_meme(path: str | Path) -> dict[str, np.ndarray]:
    """Probabilities (bp, 4) of each motif of a MEME file."""
    found: dict[str, list[list[float]]] = {}
    for line in Path(path).read_text().splitlines():
        if line.startswith("MOTIF"):
            rows = found.setdefault(line.split()[1], [])
        elif line[:2] in ("0.", "1."):
            rows.append([float(each) for each in line.split()])
    return {name: np.array(rows) for name, rows in found.items()}


class PlantedEncoder(nn.Module):
    """Bins by the sites in and beside them: activity, pairs, activators, CORE; only what mixes these is learned.

    Args:
        bin_size: bp of a bin.
        meme: File of the world's motifs.
    """

    channels = 16

    def __init__(self, bin_size: int, *, meme: str) -> None:
        super().__init__()
        self.bin_size, self.halo, self.receptive_field = bin_size, 1, 3 * bin_size
        motifs = read_meme(meme)
        self.length = len(motifs["ACT1"])
        both = [np.stack([motifs[name], motifs[name][::-1, ::-1]]) for name in ("ACT1", "ACT2", "REP", "CORE")]
        self.register_buffer("logs", torch.from_numpy(np.log(np.concatenate(both))).float().transpose(1, 2))
        consensus = Motif("", motifs["ACT1"])
        best = float(np.log(consensus.probability.max(axis=1)).sum())
        self.half = best - float(np.log(0.94 / 0.02))
        self.mix = nn.Sequential(nn.Linear(4, self.channels), nn.GELU())

    def forward(self, one_hot: Tensor) -> Tensor:
        """(pieces, bins, channels) of (pieces, 4, bins * bin_size)."""
        padded = F.pad(one_hot, (0, self.length - 1 + self.length + PAIR_GAP[1]))
        bound = torch.sigmoid((F.conv1d(padded, self.logs.to(one_hot.dtype)) - self.half) / 1.2)
        length = one_hot.shape[-1]
        act1, act1_back, act2, act2_back, rep, rep_back, core, core_back = bound.unbind(1)
        pairs = self._before(act1, act2, length) + self._before(act2_back, act1_back, length)
        sites = act1 + act1_back + act2 + act2_back, rep + rep_back, core + core_back
        alone, rep, core, pairs = (self._around(each) for each in (*(each[:, :length] for each in sites), pairs))
        activity = (ALONE * alone + PAIRED * pairs) * (1 - REPRESSION * rep.clamp(max=1))
        return self.mix(torch.stack([activity, pairs, alone, core], dim=-1))

    def _before(self, first: Tensor, second: Tensor, length: int) -> Tensor:
        """How well each site of `first` has one of `second` a pair's gap downstream."""
        after = F.max_pool1d(second[:, self.length + PAIR_GAP[0] :], PAIR_GAP[1] - PAIR_GAP[0], stride=1)
        return first[:, :length] * after[:, :length]

    def _around(self, sites: Tensor) -> Tensor:
        """Sums over each bin and both its neighbours."""
        per_bin = sites.unflatten(1, (-1, self.bin_size)).sum(dim=-1)
        return 3 * F.avg_pool1d(per_bin.unsqueeze(1), 3, stride=1, padding=1).squeeze(1)
