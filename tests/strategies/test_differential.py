"""What a task gains and loses on the one before it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from genograph.assays.peaks import peaks_by_chrom
from genograph.assays.targets import Target, read_targets
from genograph.config import load_config
from genograph.experiment import Experiment
from genograph.strategies.differential import differential_peaks, write_tasks

SIZES = {"chr1": 1000, "chr2": 1000}
NAMES = {"aliases": {}, "whole_genome": True}


def tasks(folder, **beds):
    for name, rows in beds.items():
        (folder / f"{name}.bed").write_text("".join(f"{chrom}\t{start}\t{end}\n" for chrom, start, end in rows))
    return [Target(identifier=name, file=folder / f"{name}.bed", assay="accessibility") for name in beds]


def test_peaks_are_gained_and_lost_where_none_of_the_neighbour_touches_them(tmp_path):
    before = [("chr1", 0, 100), ("chr1", 200, 300), ("chr2", 0, 50)]
    after = [("chr1", 99, 150), ("chr1", 300, 400), ("chr1", 500, 600)]
    table = differential_peaks(tasks(tmp_path, t0=before, t1=after), SIZES, **NAMES)
    rows = {tuple(row[:3]): tuple(row[3:]) for row in table.itertuples(index=False)}
    assert list(table.columns) == ["chrom", "start", "end", "t1_gained", "t1_lost"]
    assert rows == {
        ("chr1", 0, 100): (0, 0),  # shares its last base
        ("chr1", 99, 150): (0, 0),
        ("chr1", 200, 300): (0, 1),
        ("chr1", 300, 400): (1, 0),  # begins where the other ends
        ("chr1", 500, 600): (1, 0),
        ("chr2", 0, 50): (0, 1),
    }


def test_a_wide_peak_further_left_touches_too(tmp_path):
    before = [("chr1", 0, 900), ("chr1", 100, 150)]
    table = differential_peaks(tasks(tmp_path, t0=before, t1=[("chr1", 700, 800)]), SIZES, **NAMES)
    assert table.columns.tolist() == ["chrom", "start", "end", "t1_lost"]
    assert table.loc[table["t1_lost"] == 1, "start"].tolist() == [100]


def test_tasks_that_do_not_change_have_no_differential_track(tmp_path):
    rows = [("chr1", 0, 100)]
    beds = tasks(tmp_path, t0=rows, t1=rows, t2=[("chr1", 50, 60)])
    assert differential_peaks(beds, SIZES, **NAMES).columns.tolist() == ["chrom", "start", "end"]


def test_the_table_of_tasks_is_read_as_peaks_that_are_closed_where_nothing_changed(peaks, tmp_path):
    experiment = Experiment.open(load_config(peaks))
    path, added = write_tasks(experiment, "accessibility", tmp_path / "tasks", differential=True)
    one, two, gained, lost = read_targets(path)
    assert [one.identifier, two.identifier, *added] == ["one", "two", "two_gained", "two_lost"]
    assert (one.file, gained.column) == (peaks.parent / "one.bed", "two_gained")
    found = {chrom: values for chrom, _, _, values in peaks_by_chrom(lost, experiment.store.sizes, aliases={})}
    beds = [pd.read_csv(peaks.parent / f"{name}.bed", sep="\t", header=None) for name in ("one", "two")]
    for chrom, values in found.items():
        counts = [int((bed[0] == chrom).sum()) for bed in beds]
        assert np.bincount(values.astype(int)).tolist() == [counts[1], counts[0]]


def test_without_differential_tracks_the_table_has_the_tasks_alone(peaks, tmp_path):
    experiment = Experiment.open(load_config(peaks, ["tracks.use=[one]"]))
    path, added = write_tasks(experiment, "accessibility", tmp_path, differential=False)
    assert [each.identifier for each in read_targets(path)] == ["one", "two"]  # sites are of all
    assert added == []
