from __future__ import annotations

import torch

from genograph.nn.encoders import BasenjiEncoder, BassetEncoder, BothStrands


def test_the_reverse_complement_has_the_same_embeddings_in_reverse():
    torch.manual_seed(0)
    sequence = torch.eye(4)[torch.randint(0, 4, (3, 64))].transpose(1, 2)
    for encoder in (
        BasenjiEncoder(8, blocks=[{"filters": 5, "kernel": 6, "pool": 8}]),
        BassetEncoder(8, input_length=13, blocks=[{"filters": 5, "kernel": 4, "pool": 2}], hidden=[6]),
    ):
        both = BothStrands(encoder).eval()
        there, back = both(sequence), both(sequence.flip(1, 2))
        torch.testing.assert_close(back.flip(1), there)
        assert not torch.allclose(encoder.eval()(sequence.flip(1, 2)).flip(1), encoder(sequence))
        torch.testing.assert_close(both(sequence, 1), both(sequence)[:, 1:-1])
