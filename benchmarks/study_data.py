"""Peaks of twelve time points and forty-eight reference tracks whose motifs are known: data for `genograph study`.

    python benchmarks/study_data.py world
    genograph study multitask world/study.yaml

An element of 200 bp has two binding sites of each of one to three factors. It is open in a track with the logistic
chance of how much its factors weigh there. Weights of time points drift, so that neighbours share peaks; those of
reference tracks are of few factors each. Elements that are open in a reference track but at no time point are the
accessible negatives. Their middles are off by as much as those of sites, so that where motifs lie does not tell the two
apart: they are merged from peaks too, each of as many tracks as some site is open in.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from genograph.assays.peak_sites import merge_peaks
from genograph.genome.interval import Interval

LETTERS = np.frombuffer(b"ACGT", dtype=np.uint8)
FACTORS, WIDTH, CONSENSUS = 8, 12, 0.97  # bp of a motif, and how often a site has its base
SITES = 2  # of each factor of an element
ELEMENT, MARGIN, SPACING = 200, 20, (700, 1500)  # bp; margins of an element have no motif
SHARPNESS, THRESHOLD = 4.0, 1.2
JITTER = 15  # bp that the middle of a peak is off, either way
CHROMS = 8
# A small CNN; its alternatives are those of the published study, made small, and neighbouring sites that talk.
CONFIG = """\
name: study
store: store
genome: {fasta: genome.fa}
tracks: {targets: tasks.tsv}
bins: {bin_size: 200}
sites:
  source: peaks
  overlap: 80
  negatives: {flanking: 1, accessible: accessible.bed, random: 0.5}
splits: {valid: [chr7], test: [chr6, chr8]}
batch: {window: 1, size: 64}
augment: {reverse_complement: false, shift: 0}
model:
  encoder:
    name: basset
    input_length: 500
    blocks: [{filters: 32, kernel: 15, pool: 10}, {filters: 32, kernel: 5, pool: 15}]
    hidden: [64]
    dropout: 0.5
  heads:
    accessibility: {loss: bce}
training: {optimizer: rmsprop, learning_rate: 0.002, momentum: 0, beta2: 0.98, max_norm: 7, monitor: auprc,
           patience: 4, max_epochs: 20, accelerator: cpu, devices: 1, threads: 1}
evaluation: {kmer_ridge: null}
study:
  seeds: 3
  reference: reference.tsv
  architectures:
    - {name: cnn-rnn, set: ["model.encoder.recurrent={cell: lstm, width: 32, dropout: 0.5}"]}
    - {name: resnet, set: ["model.encoder={name: resnet, input_length: 500, units: [1, 1, 1, 1], width: 8}"]}
    - name: cnn-graph
      set: ["graph.edges=[{name: linear}]", "model.processor=[{name: gat}]", batch.window=8, batch.size=8]
"""


def draw_genome(rng: np.random.Generator, length: int) -> tuple[list[np.ndarray], list[list[int]], np.ndarray]:
    """Codes of each chromosome, middles of its elements, and how many sites each element has: (elements, FACTORS)."""
    consensus = rng.integers(0, 4, (FACTORS, WIDTH))
    codes = [rng.choice(4, length, p=[0.29, 0.21, 0.21, 0.29]) for _ in range(CHROMS)]
    middles, counts = [], []
    for chrom in codes:
        places = np.cumsum(rng.integers(*SPACING, length // SPACING[0]))
        middles.append(places[places < length - SPACING[0]].tolist())
        for middle in middles[-1]:
            factors = rng.choice(FACTORS, rng.integers(1, 4), replace=False)
            starts = middle - ELEMENT // 2 + draw_starts(rng, SITES * len(factors))
            for factor, start in zip(np.repeat(factors, SITES), starts, strict=True):
                site = np.where(rng.random(WIDTH) < CONSENSUS, consensus[factor], rng.integers(0, 4, WIDTH))
                chrom[start : start + WIDTH] = site if rng.random() < 0.5 else 3 - site[::-1]
            counts.append(np.bincount(factors, minlength=FACTORS))
    return codes, middles, np.array(counts)


def draw_starts(rng: np.random.Generator, count: int) -> np.ndarray:
    """First bases of motifs in an element, in any order; they do not overlap: (count,)."""
    room = ELEMENT - 2 * MARGIN - WIDTH * count
    return rng.permutation(MARGIN + np.sort(rng.integers(0, room + 1, count)) + WIDTH * np.arange(count))


def drifting_weights(rng: np.random.Generator, tasks: int) -> np.ndarray:
    """Of each factor at each time point: (tasks, FACTORS). Half of them rise and fall, one after another."""
    time, peak = np.linspace(0, 1, tasks)[:, None], np.linspace(0, 1, 4) + rng.uniform(-0.1, 0.1, 4)
    rising = 2.2 * np.exp(-(((time - peak) / rng.uniform(0.2, 0.4, 4)) ** 2))
    others = np.repeat([[0, 0, -1.5, -1.5]], tasks, axis=0)  # two of other cells alone, two repressors
    return np.concatenate([rising, others], axis=1)


def reference_weights(rng: np.random.Generator, tracks: int) -> np.ndarray:
    """Of each factor in each reference track: (tracks, FACTORS), four of the factors each."""
    chosen = rng.random((tracks, FACTORS)).argsort(axis=1) < 4
    return np.where(chosen, rng.choice([2.2, 2.2, 2.2, -1.5], (tracks, FACTORS)), 0)


def draw_open(rng: np.random.Generator, counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Which elements are open in which tracks: (elements, tracks) bool."""
    chance = 1 / (1 + np.exp(-SHARPNESS * (counts @ weights.T - THRESHOLD)))
    return rng.random(chance.shape) < chance


def draw_peaks(rng: np.random.Generator, is_open: np.ndarray, places: list[tuple[str, int]]) -> list[list[Interval]]:
    """The peaks of each track, off by up to `JITTER` bp each.

    Args:
        rng: Draws them.
        is_open: (elements, tracks) which elements are open in which tracks.
        places: Chromosome and middle of each element.
    """
    half, peaks = ELEMENT // 2, []
    for column in is_open.T:
        off = rng.integers(-JITTER, JITTER + 1, len(places)).tolist()
        middles = [(*places[each], off[each]) for each in np.flatnonzero(column).tolist()]
        peaks.append([Interval(chrom, middle + by - half, middle + by + half) for chrom, middle, by in middles])
    return peaks


def write_bed(path: Path, places: Iterable[Interval]) -> None:
    path.write_text("".join(f"{each.chrom}\t{each.start}\t{each.end}\n" for each in places))


def write_tracks(folder: Path, peaks: list[list[Interval]]) -> None:
    """One BED file of peaks a track, named by the folder's letter and its number, and a targets table of them."""
    folder.mkdir(parents=True)
    names = [f"{folder.name[0]}{number:02}" for number in range(len(peaks))]
    for name, each in zip(names, peaks, strict=True):
        write_bed(folder / f"{name}.bed", each)
    rows = "".join(f"{name}\t{folder.name}/{name}.bed\taccessibility\n" for name in names)
    folder.with_suffix(".tsv").write_text("identifier\tfile\tassay\n" + rows)


def accessible_places(
    rng: np.random.Generator, places: list[tuple[str, int]], is_open: np.ndarray, sizes: dict[str, int]
) -> list[Interval]:
    """Elements as sites of peaks lie about them, each of peaks in as many tracks as a row of `is_open` has."""
    peaks = draw_peaks(rng, is_open[rng.integers(len(is_open), size=len(places))], places)
    sites, _ = merge_peaks(peaks, sizes, length=ELEMENT, overlap=ELEMENT // 2)  # peaks of one element share more
    return [sites.interval(number) for number in range(len(sites))]


def write_world(out: Path, *, seed: int, length: int, tasks: int, reference: int) -> None:
    """Genome, peaks, targets tables and config into a new folder; says how many elements are open."""
    rng = np.random.default_rng(seed)
    codes, middles, counts = draw_genome(rng, length)
    names = [f"chr{number + 1}" for number in range(CHROMS)]
    places = [(name, middle) for name, each in zip(names, middles, strict=True) for middle in each]
    is_open = draw_open(rng, counts, drifting_weights(rng, tasks))
    in_others = draw_open(rng, counts, reference_weights(rng, reference))
    for name, each in ("tasks", is_open), ("reference", in_others):
        write_tracks(out / name, draw_peaks(rng, each, places))
    at_a_time = is_open.any(axis=1)
    elsewhere = [places[each] for each in np.flatnonzero(in_others.any(axis=1) & ~at_a_time)]
    accessible = accessible_places(rng, elsewhere, is_open[at_a_time], dict.fromkeys(names, length))
    write_bed(out / "accessible.bed", accessible)
    fasta = [f">{name}\n{LETTERS[each].tobytes().decode()}\n" for name, each in zip(names, codes, strict=True)]
    (out / "genome.fa").write_text("".join(fasta))
    (out / "study.yaml").write_text(CONFIG)
    print(f"elements   {len(places)}: {at_a_time.sum()} open at a time point, {len(accessible)} elsewhere alone")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--length", type=int, default=400_000, help="bp of each of eight chromosomes")
    parser.add_argument("--tasks", type=int, default=12)
    parser.add_argument("--reference", type=int, default=48, help="tracks")
    write_world(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
