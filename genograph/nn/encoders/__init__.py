"""Sequence encoders: one-hot sequence in, one embedding per bin out."""

from genograph.nn.encoders.basenji import BasenjiEncoder
from genograph.nn.encoders.basset import BassetEncoder
from genograph.nn.encoders.resnet import ResNetEncoder

ENCODERS = {"basenji": BasenjiEncoder, "basset": BassetEncoder, "resnet": ResNetEncoder}
