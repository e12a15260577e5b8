from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from genograph.errors import InputError
from genograph.nn.layers import LAYERS
from genograph.nn.model import build_model, count_parameters


def make(tiny, *processor: str, masked: bool = False, whole_windows: bool = False) -> torch.nn.Module:
    torch.manual_seed(0)
    model = build_model(
        tiny.spec(*processor),
        bin_size=tiny.bin_size,
        edge_dim=tiny.edge_dim,
        tracks={"coverage": 3, "methylation": 1},
        whole_windows=whole_windows,
        masked=masked,
    )
    tiny.randomise(model)
    return model.eval()


PROCESSORS = [(), ("dilated", "gat"), ("gcn", "dilated_dense", "sage"), tuple(LAYERS)]


@pytest.mark.parametrize("processor", PROCESSORS)
def test_a_model_predicts_every_assay_of_every_predicted_bin_in_units(processor, tiny):
    predictions = make(tiny, *processor)(tiny.batch(0, 1))
    assert {assay: each.shape for assay, each in predictions.items()} == {
        "coverage": (2, 4, 3),
        "methylation": (2, 4, 1),
    }
    assert (predictions["coverage"] > 0).all()
    assert ((predictions["methylation"] > 0) & (predictions["methylation"] < 1)).all()


@pytest.mark.parametrize("processor", PROCESSORS)
def test_every_parameter_of_a_model_gets_a_gradient(processor, tiny):
    model = make(tiny, *processor, masked=True)
    model.loss(tiny.batch(0, 1, masked_bin=True))[0].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("processor", PROCESSORS[:3])
def test_a_batch_of_two_gives_what_two_batches_of_one_give(processor, tiny):
    model = make(tiny, *processor)
    both = model.raw(tiny.batch(0, 1))["coverage"]
    alone = torch.cat([model.raw(tiny.batch(seed))["coverage"] for seed in (0, 1)])
    torch.testing.assert_close(both, alone, rtol=1e-4, atol=1e-4)


def test_bins_of_a_partner_reach_a_window_over_the_graph_alone(tiny):
    batch = tiny.batch(0)
    other = batch.codes.clone()
    other[3] = 3 - other[3].clamp(max=3)  # the partner's piece
    changed = replace(batch, codes=other)
    for processor, reaches in [(("dilated",), False), (("gat",), True)]:
        model = make(tiny, *processor)
        same = torch.allclose(model.raw(batch)["coverage"], model.raw(changed)["coverage"], atol=1e-6)
        assert same != reaches


def test_without_a_processor_each_bin_stands_alone(tiny):
    batch, model = tiny.batch(0), make(tiny)
    other = batch.codes.clone()
    other[2] = 4
    difference = model.raw(batch)["coverage"] - model.raw(replace(batch, codes=other))["coverage"]
    assert difference[0, :3].abs().max() == 0  # the third piece holds the window's last two bins
    assert difference[0, 3].abs().max() > 0


def test_pieces_with_context_give_what_the_whole_window_gives(tiny):
    """Bins 2 to 5 of eight consecutive ones, read as two pieces with context and as one stretch."""
    sequence = torch.randint(0, 4, (1, 8 * tiny.bin_size), dtype=torch.uint8)
    pieces = torch.cat([sequence[:, first * 8 : (first + 4) * 8] for first in (1, 3)])
    in_pieces, whole = make(tiny), make(tiny, whole_windows=True)
    assert (in_pieces.halo, whole.halo) == (1, 0)
    encoded = in_pieces.encode(in_pieces.one_hot(pieces)).flatten(0, 1)
    torch.testing.assert_close(encoded, whole.encode(whole.one_hot(sequence))[0, 2:6])


def test_the_receptive_field_is_the_encoders_and_what_layers_add(tiny):
    fields = [make(tiny, *layers).receptive_field for layers in ((), ("dilated", "gat"), ("dilated", "bilstm"))]
    assert fields == [14, 14 + 2 * (1 + 2) * tiny.bin_size, float("inf")]


def test_parts_that_two_models_share_start_alike(tiny):
    models = []
    for processor in (("dilated",), ("dilated", "sage"), ("sage", "dilated")):
        torch.manual_seed(3)
        spec, tracks = tiny.spec(*processor), {"coverage": 3, "methylation": 1}
        models.append(build_model(spec, bin_size=tiny.bin_size, edge_dim=tiny.edge_dim, tracks=tracks).state_dict())
    ours, other, moved = models
    assert all(torch.equal(value, other[name]) for name, value in ours.items())
    conv = "residuals.0.dilated.conv.weight"
    assert torch.equal(ours[f"processor.layers.0.{conv}"], moved[f"processor.layers.1.{conv}"])


def test_another_seed_gives_other_weights(tiny):
    weights = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        spec = tiny.spec("sage")
        model = build_model(
            spec, bin_size=tiny.bin_size, edge_dim=tiny.edge_dim, tracks={"coverage": 3, "methylation": 1}
        )
        weights.append(model.heads["coverage"].linear.weight)
    assert not torch.equal(*weights)


def test_one_hot_is_a_c_g_t_and_n_is_all_zero(tiny):
    one_hot = make(tiny).one_hot(torch.tensor([[0, 1, 2, 3, 4]], dtype=torch.uint8))
    assert torch.equal(one_hot[0], torch.eye(4, 5))


def test_a_bin_without_sequence_takes_the_placeholder(tiny):
    batch, model = tiny.batch(0, masked_bin=True), make(tiny, masked=True)
    before = model.raw(batch)["coverage"]
    with torch.no_grad():
        model.placeholder += 1
    difference = (model.raw(batch)["coverage"] - before).abs().amax((0, 2))
    assert difference[0] > 0  # bin 1 of the window is the first that is predicted
    assert difference[1:].max() == 0


def test_a_placeholder_exists_only_where_bins_are_masked(tiny):
    masked, plain = (count_parameters(make(tiny, masked=masked)) for masked in (True, False))
    assert masked.total - plain.total == 8
    assert "placeholder" not in make(tiny).state_dict()


def with_nothing_to_read(batch):
    return replace(batch, codes=batch.codes[:0], source=torch.full_like(batch.source, -1))


@pytest.mark.parametrize("processor", PROCESSORS)
def test_a_batch_with_nothing_to_read_gives_the_encoder_gradients_of_zero(processor, tiny):
    """Processes that train together wait for a gradient of every parameter."""
    model = make(tiny, *processor, masked=True).train()
    statistics = [buffer.clone() for buffer in model.encoder.buffers()]
    model.loss(with_nothing_to_read(tiny.batch(0)))[0].backward()
    assert all(each.grad is not None for each in model.parameters())
    assert all((each.grad == 0).all() for each in model.encoder.parameters())
    assert all(map(torch.equal, statistics, model.encoder.buffers()))


@pytest.mark.parametrize("training", [True, False])
def test_a_batch_with_nothing_to_read_is_finite(training, tiny):
    batch = with_nothing_to_read(tiny.batch(0))
    model = make(tiny, "dilated", "gat", masked=True).train(training)
    loss, _ = model.loss(batch)
    assert loss.isfinite()
    assert all(buffer.isfinite().all() for buffer in model.buffers())


def test_the_loss_is_the_weighted_sum_of_the_assays(tiny):
    model, batch = make(tiny), tiny.batch(0)
    model.heads["methylation"].weight = 0.25
    total, parts = model.loss(batch)
    assert parts.keys() == {"coverage", "methylation"}
    torch.testing.assert_close(total, parts["coverage"] + 0.25 * parts["methylation"])
    assert torch.equal(model.loss(batch, model.raw(batch))[0], total)


def test_an_assay_that_was_not_measured_is_skipped_with_gradients_of_zero(tiny):
    model, batch = make(tiny), tiny.batch(0)
    batch.target["methylation"].fill_(torch.nan)
    total, parts = model.loss(batch)
    total.backward()
    assert parts.keys() == {"coverage"}
    assert torch.equal(total, parts["coverage"])
    assert all((each.grad == 0).all() for each in model.heads["methylation"].parameters())


def test_a_batch_without_any_measured_value_is_an_input_error(tiny):
    batch = tiny.batch(0)
    for mask in batch.mask.values():
        mask.fill_(False)
    with pytest.raises(InputError, match="no value of any assay was measured"):
        make(tiny).loss(batch)


def test_moving_statistics_are_counted_apart_from_what_is_trained(tiny):
    norm = torch.nn.BatchNorm1d(5)
    norm.bias.requires_grad_(False)
    assert count_parameters(norm) == (20, 5, 10)
