"""Sequence encoders: one-hot sequence in, one embedding per bin out."""

from genograph.nn.encoders.basenji import BasenjiEncoder
from genograph.nn.encoders.basset import BassetEncoder

ENCODERS = {"basenji": BasenjiEncoder, "basset": BassetEncoder}
