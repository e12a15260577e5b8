from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler

from genograph.dataset.sampler import FILL, EpochSampler, TurnSampler


def draws(count, epoch=0, **options):
    sampler = EpochSampler(count, **{"seed": 1, "shuffle": True} | options)
    sampler.set_epoch(epoch)
    drawn = list(sampler)
    assert len(drawn) == len(sampler)
    assert {each for each, _ in drawn} <= {epoch}
    return [window for _, window in drawn]


def test_an_epochs_order_follows_from_seed_and_epoch_alone():
    assert sorted(draws(50)) == list(range(50))
    assert draws(50) == draws(50)
    assert draws(50) != draws(50, epoch=1)
    assert draws(50) != draws(50, seed=2)
    sampler = EpochSampler(50, seed=1, shuffle=True)
    sampler.set_epoch(3)
    list(sampler)
    sampler.set_epoch(0)
    assert [window for _, window in sampler] == draws(50)


def test_in_order_means_in_order_in_every_epoch():
    assert draws(5, shuffle=False) == draws(5, shuffle=False, epoch=3) == [0, 1, 2, 3, 4]


@given(count=st.integers(1, 40), world_size=st.integers(1, 6), epoch=st.integers(0, 3))
def test_processes_validate_every_window_once(count, world_size, epoch):
    shares = [draws(count, epoch, shuffle=False, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert sorted(window for share in shares for window in share) == list(range(count))


@given(count=st.integers(1, 40), world_size=st.integers(1, 6), epoch=st.integers(0, 3))
def test_processes_train_equally_long_and_on_every_window_once(count, world_size, epoch):
    shares = [draws(count, epoch, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert len({len(share) for share in shares}) == 1
    times = Counter(window for share in shares for window in share)
    assert times.pop(FILL, 0) == -count % world_size
    assert times == Counter(range(count))


@given(count=st.integers(1, 40), world_size=st.integers(1, 6), size=st.integers(1, 3))
def test_a_step_of_several_processes_draws_what_one_process_draws(count, world_size, size):
    shares = [draws(count, rank=rank, world_size=world_size) for rank in range(world_size)]
    one, together = draws(count), size * world_size
    for step in range(-(-count // together)):
        drawn = {window for share in shares for window in share[step * size : (step + 1) * size]}
        assert drawn - {FILL} == {*one[step * together : (step + 1) * together]}


@given(
    positive=st.lists(st.booleans(), min_size=2, max_size=30).filter(lambda each: len(set(each)) == 2),
    epoch=st.integers(0, 3),
)
def test_a_balanced_epoch_takes_turns_and_shows_all_of_the_larger_class_once(positive, epoch):
    is_positive = np.array(positive)
    sampler = EpochSampler(len(positive), seed=1, shuffle=True, positive=is_positive)
    sampler.set_epoch(epoch)
    order = [window for _, window in sampler]
    assert len(order) == len(sampler) == 2 * max(is_positive.sum(), (~is_positive).sum())
    assert is_positive[order].tolist() == [True, False] * (len(order) // 2)
    times = Counter(order)
    for of_class in (is_positive, ~is_positive):
        counts = [times[window] for window in np.flatnonzero(of_class)]
        assert max(counts) - min(counts) <= 1
        assert min(counts) >= 1


def turns(*, seed=0, epoch=0, shuffle=True, rank=0, world_size=1):
    """The (genome, draws) of an epoch of 5 windows of one genome and 3 of another, two a batch."""
    options = {"seed": seed, "shuffle": shuffle, "rank": rank, "world_size": world_size}
    counts = {"human": 5, "mouse": 3}
    batches = {name: BatchSampler(EpochSampler(count, **options), 2, False) for name, count in counts.items()}
    sampler = TurnSampler(batches, seed=seed, shuffle=shuffle)
    sampler.set_epoch(epoch)
    found = list(sampler)
    assert len(found) == len(sampler)
    return found


def test_an_epoch_has_every_window_of_every_genome_once():
    for epoch in range(3):
        met = Counter((genome, draw) for genome, draws in turns(epoch=epoch) for draw in draws)
        expected = [("human", (epoch, window)) for window in range(5)] + [
            ("mouse", (epoch, window)) for window in range(3)
        ]
        assert met == Counter(expected)


def test_the_order_of_genomes_follows_from_seed_and_epoch_alone():
    orders = {tuple(genome for genome, _ in turns(seed=seed, epoch=epoch)) for seed in range(3) for epoch in range(4)}
    assert len(orders) > 3
    assert turns(seed=1, epoch=2) == turns(seed=1, epoch=2)


def test_all_processes_step_through_the_same_genomes():
    for epoch in range(5):
        first, second = (turns(epoch=epoch, rank=rank, world_size=2) for rank in range(2))
        assert [genome for genome, _ in first] == [genome for genome, _ in second]


def test_genomes_that_are_judged_come_one_after_the_other():
    assert [genome for genome, _ in turns(shuffle=False)] == ["human"] * 3 + ["mouse"] * 2
