"""A tiny folder of TFRecords: windows of 64 bp, the middle 32 bp predicted in bins of 8 bp, four tracks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from genograph.assays.tfrecords import write_example, write_records

SEQ_LENGTH, POOL, CROP = 64, 8, 16
BINS = (SEQ_LENGTH - 2 * CROP) // POOL
PLACES = {
    "train": [("chr1", 100), ("chr2", 40), ("chr1", 500)],
    "valid": [("chr2", 300)],
    "test": [("chr1", 0), ("chr1", 20)],  # the second bin by bin across the first
}
TARGETS = (
    "\tidentifier\tfile\tclip\tclip_soft\tscale\tsum_stat\tstrand_pair\tdescription\n"
    "0\tcage+\t/nowhere/cage+.w5\t384\t64\t1.0\tsum_sqrt\t1\tCAGE:liver\n"
    "1\tcage-\t/nowhere/cage-.w5\t384\t64\t1.0\tsum_sqrt\t0\tCAGE:liver\n"
    "2\tdnase\t/nowhere/dnase.w5\t128\t32\t2.0\tmean\t2\tDNASE:liver\n"
    "3\trna\t/nowhere/rna.w5\t384\t64\t0.3\tsum_sqrt\t3\tRNA3:liver\n"
)


def window(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes and targets of a window; of its target, column t of bin b is 100 number + 10 b + t."""
    codes = np.random.default_rng(number).integers(0, 4, SEQ_LENGTH).astype(np.uint8)
    target = 100 * number + 10 * np.arange(BINS)[:, None] + np.arange(4)
    return codes, target.astype(np.float16)


def example(codes: np.ndarray, target: np.ndarray) -> bytes:
    return write_example({"sequence": codes.tobytes(), "target": target.tobytes()})


def write_folder(folder: Path, *, per_file: int = 2) -> Path:
    """Windows are numbered in the order of sequences.bed, whose splits are mixed."""
    (folder / "tfrecords").mkdir(parents=True)
    lines, number = [], 0
    for split, places in PLACES.items():
        records = []
        for chrom, start in places:
            lines.append(f"{chrom}\t{start}\t{start + BINS * POOL}\t{split}")
            records.append(example(*window(number)))
            number += 1
        for shard, first in enumerate(range(0, len(records), per_file)):
            write_records(folder / "tfrecords" / f"{split}-{shard}.tfr", records[first : first + per_file])
    (folder / "sequences.bed").write_text("\n".join(lines) + "\n")
    (folder / "targets.txt").write_text(TARGETS)
    write_statistics(folder)
    return folder


def write_statistics(folder: Path, **changes: object) -> None:
    statistics = {
        "num_targets": 4,
        "seq_length": SEQ_LENGTH,
        "seq_1hot": True,
        "pool_width": POOL,
        "crop_bp": CROP,
        "target_length": BINS,
        "train_seqs": 3,
        "valid_seqs": 1,
        "test_seqs": 2,
    }
    (folder / "statistics.json").write_text(json.dumps(statistics | changes))


def config_tree(folder: str = "hg38") -> dict:
    """A config over that folder, whose windows are exactly those of its records."""
    return {
        "name": "records",
        "store": "store",
        "tfrecords": {"folder": folder},
        "bins": {"bin_size": POOL},
        "batch": {"window": SEQ_LENGTH // POOL, "crop": CROP // POOL, "size": 2},
        "model": {
            "encoder": {"name": "basenji", "blocks": [{"filters": 4, "kernel": 5, "pool": 8}]},
            "trunk": {"filters": 4},
            "heads": {"expression": {"loss": "poisson_multinomial"}, "accessibility": {}},
        },
        "training": {"max_epochs": 1, "accelerator": "cpu", "devices": 1, "threads": 1},
        "evaluation": {"kmer_ridge": 2},
    }
