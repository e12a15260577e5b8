"""ResNet-50 of the second form (He et al. 2016, ECCV, "Identity mappings") along the sequence."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genograph.nn.blocks import NORM_EPS, Count
from genograph.nn.encoders.centred import CentredReader


class ResNetEncoder(nn.Module):
    """Reads `input_length` bp around every bin's centre by bottleneck residuals and averages over positions.

    As TensorFlow's slim builds `resnet_v2_50` without its argument scope, which is how the study of training
    strategies behind Kim et al. 2021 (Nature Genetics 53:1564) used it: every convolution has a bias, normalisation
    stands at the start of a residual only and has an offset and no scale, and convolutions inside of it are
    followed by ReLU alone. A unit that halves the length stands last in its stage.

    Args:
        bin_size: bp of a bin.
        input_length: bp read for each bin.
        units: Residuals of each stage.
        width: Of the bottlenecks of the first stage, doubled from stage to stage; the output of a residual is four
            times as wide.
        square_kernels: Keep slim's square kernels, of which a sequence meets the middle row only. The other rows are
            counted (7,555,584 of the 23,501,825 parameters), and lower the initial weights, but never train.

    Attributes:
        channels: Of an embedding.
        receptive_field: bp that one bin's embedding is computed from.
        halo: Bins of context a piece needs on both sides for its embeddings not to depend on its ends.
    """

    def __init__(
        self,
        bin_size: int,
        *,
        input_length: Annotated[int, Field(ge=5)] = 1000,
        units: Annotated[tuple[Count, ...], Field(min_length=1)] = (3, 4, 6, 3),
        width: Count = 64,
        square_kernels: bool = False,
    ) -> None:
        super().__init__()
        self.reader = CentredReader(bin_size, input_length)
        self.receptive_field, self.halo = input_length, self.reader.halo
        self.stem = nn.Sequential(
            _Conv(4, width, 7, stride=2, square=square_kernels), nn.MaxPool2d((1, 3), stride=(1, 2))
        )
        self.units, self.channels = nn.Sequential(), width
        for stage, count in enumerate(units):
            for number in range(count):
                stride = 2 if number == count - 1 and stage < len(units) - 1 else 1
                self.units.append(_Unit(self.channels, width * 2**stage, stride, square_kernels))
                self.channels = 4 * width * 2**stage
        self.end = nn.Sequential(_Offset(self.channels), nn.ReLU())

    def forward(self, one_hot: Tensor, halo: int = 0) -> Tensor:
        """Embeddings (pieces, inner bins, channels) of one-hot sequence (pieces, 4, bins * bin_size).

        Args:
            one_hot: Sequence.
            halo: Bins at both ends that are context only and are not evaluated.
        """
        image = self.end(self.units(self.stem(self.reader(one_hot, halo))))
        return image.mean(dim=(2, 3)).unflatten(0, (one_hot.shape[0], -1))


class _Unit(nn.Module):
    """A bottleneck, added to its input or, where that is less wide, to a projection."""

    def __init__(self, channels: int, width: int, stride: int, square: bool) -> None:
        super().__init__()
        self.stride = stride
        self.start = nn.Sequential(_Offset(channels), nn.ReLU())
        self.shortcut = _Conv(channels, 4 * width, 1, stride=stride) if channels != 4 * width else None
        self.residual = nn.Sequential(
            _Conv(channels, width, 1),
            nn.ReLU(),
            _Conv(width, width, 3, stride=stride, square=square),
            nn.ReLU(),
            _Conv(width, 4 * width, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        start = self.start(x)
        kept = x[..., :: self.stride] if self.shortcut is None else self.shortcut(start)
        return kept + self.residual(start)


class _Conv(nn.Conv2d):
    """A convolution along the length, with zeros beyond its ends; of a square kernel its middle row."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, square: bool = False
    ) -> None:
        rows = kernel if square else 1
        super().__init__(in_channels, out_channels, (rows, kernel), stride=(1, stride), padding=(0, kernel // 2))
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        middle = self.kernel_size[0] // 2  # all other rows would lie on padding
        return F.conv2d(input, self.weight[:, :, middle : middle + 1], self.bias, self.stride, self.padding)


class _Offset(nn.BatchNorm2d):
    """Batch normalisation with an offset and no scale, slim's default."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=NORM_EPS, affine=False)
        self.offset = nn.Parameter(self.running_mean.new_zeros(channels, 1, 1))

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + self.offset
