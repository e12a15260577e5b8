"""`genograph simulate`: a genome whose truth is known, with everything measured on it, as files of the field.

genome.fa genes.gtf contacts.mcool        what every user has
expression.bw accessibility.bw bulk.cov.gz cells/*.cov.gz
elements.bed                              candidate elements and promoters; silent ones and decoys are among them
targets.tsv graph.yaml basenji.yaml       ready to train: the graph model and its Basenji twin
truth/                                    what no experiment sees; see docs/simulate.md
settings.yaml                             the settings, defaults among them
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from genograph import __version__
from genograph.errors import InputError
from genograph.overrides import apply_override
from genograph.sections import parse_section
from genograph.simulate.assays import Track, ceilings, measure, write_targets
from genograph.simulate.configs import config_trees
from genograph.simulate.contacts import write_map
from genograph.simulate.effects import write_links, write_variants
from genograph.simulate.grammar import Motif
from genograph.simulate.settings import WorldSettings
from genograph.simulate.truth import Truth
from genograph.simulate.world import draw_world
from genograph.simulate.write import (
    write_elements,
    write_fasta,
    write_features,
    write_gtf,
    write_loops,
    write_motifs,
    write_sites,
    write_table,
    write_track,
)

log = logging.getLogger("genograph")


def simulate(out: str | Path, overrides: Sequence[str] = ()) -> Path:
    """Write a world into a new folder; returns the folder.

    The same settings give the same bytes.

    Args:
        out: The folder, which must not be there or be empty.
        overrides: `key=value`, see `WorldSettings`.

    Raises:
        InputError: If a setting is wrong or the folder holds something.
    """
    out = Path(out).resolve()
    settings = parse_settings(overrides)
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise InputError(f"{out} is there already and is not empty. Name a new folder, or remove it.")
    partial = out.with_name(f".{out.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True)
    try:
        _write(partial, settings)
        if out.exists():
            out.rmdir()
        partial.rename(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return out


def parse_settings(overrides: Sequence[str]) -> WorldSettings:
    """Settings of `key=value` words.

    Raises:
        InputError: If a key is unknown or a value is wrong.
    """
    tree: dict[str, Any] = {}
    for override in overrides:
        apply_override(tree, override)
    return parse_section(WorldSettings, tree, root="simulate", each="setting")


def _write(folder: Path, settings: WorldSettings) -> None:
    log.info("Drawing %s bp of genome.", f"{settings.size:,}")
    truth, motifs = draw_world(settings)
    genes, tracks, reads, variants = (np.random.default_rng([settings.seed, 10 + part]) for part in range(4))
    write_fasta(folder / "genome.fa", truth.codes)
    write_gtf(folder / "genes.gtf", truth, genes)
    write_elements(folder / "elements.bed", truth)
    log.info("Measuring expression, accessibility and methylation.")
    measured = measure(folder, truth, tracks)
    write_targets(folder / "targets.tsv", measured, settings)
    log.info("Sequencing and balancing the contact map.")
    write_map(folder / "contacts.mcool", truth.architecture, settings, reads)
    log.info("Writing the truth.")
    ceiling = _write_truth(folder, truth, motifs, measured, variants)
    for name, tree in config_trees(settings, truth.bins.chroms, ceiling=ceiling).items():
        (folder / name).write_text(yaml.safe_dump(tree, sort_keys=False))
    (folder / "settings.yaml").write_text(yaml.safe_dump({"genograph": __version__, **settings.model_dump()}))


def _write_truth(
    folder: Path, truth: Truth, motifs: dict[str, Motif], measured: list[Track], rng: np.random.Generator
) -> float:
    """Write `truth/`; returns the ceiling of expression over the promoters that are held out."""
    hidden = folder / "truth"
    hidden.mkdir()
    contact_map = f"{folder / 'contacts.mcool'}::/resolutions/{truth.settings.resolution}"
    best = ceilings(truth, measured, contact_map)
    write_table(hidden / "ceilings.tsv", best)
    write_features(hidden / "features.tsv", truth)
    write_sites(hidden / "sites.bed", truth)
    write_loops(hidden / "loops.bedpe", truth)
    write_links(hidden / "links.tsv", truth)
    write_motifs(hidden / "motifs.meme", motifs)
    write_variants(hidden / "variants.vcf", truth, motifs, truth.settings.variants, rng)
    for track in measured:
        write_track(hidden / f"{track.identifier}.bw", truth.bins, track.mean)
    asked = best.set_index(["identifier", "over", "region", "predictor"])["pearsonr"]
    return float(asked["expression", "promoters", "held-out", "truth"])
