"""Sequence encoders: one-hot sequence in, one embedding per bin out."""

from genograph.nn.encoders.basenji import BasenjiEncoder
from genograph.nn.encoders.basset import BassetEncoder
from genograph.nn.encoders.both_strands import BothStrands
from genograph.nn.encoders.module import ModuleEncoder
from genograph.nn.encoders.no_encoder import NoEncoder
from genograph.nn.encoders.resnet import ResNetEncoder

ENCODERS = {"basenji": BasenjiEncoder, "basset": BassetEncoder, "resnet": ResNetEncoder}
__all__ = ["ENCODERS", "BasenjiEncoder", "BassetEncoder", "BothStrands", "ModuleEncoder", "NoEncoder", "ResNetEncoder"]
