"""Each annotation is judged, and drawn, on its own sites."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from genograph.assays.cpg_states import read_cells
from genograph.assays.targets import Target
from genograph.metrics.annotations import accuracy_by_annotation, annotate, curves_by_annotation, with_enough_sites

NAN = np.nan


def inside(tmp_path, text, position, chrom_index=None):
    (tmp_path / "x.bed").write_text(text)
    position = np.array(position)
    chrom_index = np.zeros(len(position), dtype=int) if chrom_index is None else np.array(chrom_index)
    sizes = {"18": 100, "19": 100}
    return annotate(chrom_index, position, {"x": tmp_path / "x.bed"}, sizes=sizes, aliases={})["x"].tolist()


def test_both_ends_of_an_interval_belong_to_it_where_sites_count_from_one(tmp_path):
    # The original's unit test: positions -1, 2, 2, 3, 4, 8, 15, 16 in these; ours count from 0.
    text = "18\t2\t2\n18\t4\t8\n18\t12\t15\n18\t17\t18\n"
    position = [1, 1, 2, 3, 7, 14, 15]
    assert inside(tmp_path, text, position) == [True, True, False, True, True, True, False]


def test_intervals_may_overlap_and_come_in_any_order(tmp_path):
    text = "chr18\t30\t35\nchr18\t10\t50\nchr18\t12\t14\n"
    assert inside(tmp_path, text, [8, 9, 20, 49, 50]) == [False, True, True, True, False]


def test_an_interval_holds_sites_of_its_own_chromosome(tmp_path):
    assert inside(tmp_path, "19\t10\t20\n", [15, 15], [0, 1]) == [False, True]


@pytest.fixture
def sites():
    """Predictions that are right in one annotation and wrong in the other, and one that is missing."""
    label = np.tile([0.0, 1.0], 4)
    score = np.where(np.arange(8) < 4, label, 1 - label) * 0.8 + 0.1
    annotations = {"right": np.arange(8) < 4, "wrong": np.arange(8) >= 4}
    return {"cpg/a": (label, score), "cpg_stats/var": (label / 4, score / 4)}, annotations


def values(table, metric, output="cpg/a"):
    rows = table[(table["metric"] == metric) & (table["output"] == output)]
    return dict(zip(rows["anno"], rows["value"], strict=True))


def test_each_annotation_is_judged_on_its_own_sites(sites):
    table = accuracy_by_annotation(*sites)
    assert list(table) == ["anno", "metric", "output", "value"]
    assert values(table, "acc") == {"global": 0.5, "right": 1, "wrong": 0}
    assert values(table, "n") == {"global": 8, "right": 4, "wrong": 4}
    assert values(table, "cor", "cpg_stats/var") == pytest.approx({"global": 0, "right": 1, "wrong": -1}, abs=1e-12)


def test_fewer_than_100_sites_are_too_few(caplog):
    annotations = {"enough": np.arange(200) < 100, "few": np.arange(200) < 99}
    with caplog.at_level(logging.WARNING):
        assert with_enough_sites(annotations) == {"enough": annotations["enough"]}
    assert caplog.messages == ["Annotation 'few' holds 99 sites, fewer than 100; left out."]
    assert [*with_enough_sites(annotations, 99)] == ["enough", "few"]


def test_curves_of_annotations_that_differ_differ(sites):
    table = curves_by_annotation(*sites)
    assert list(table) == ["anno", "curve", "output", "x", "y", "threshold"]
    assert set(table["output"]) == {"cpg/a"}  # a variance has no classes
    roc = {anno: rows[["x", "y"]].to_numpy().tolist() for anno, rows in table[table["curve"] == "roc"].groupby("anno")}
    assert roc["global"] == [[0, 0], [0.5, 0.5], [1, 1]]
    assert roc["right"] == [[0, 0], [0, 1], [1, 1]]
    assert roc["wrong"] == [[0, 0], [1, 0], [1, 1]]
    precise = table[(table["curve"] == "pr") & (table["threshold"] > 0.5)].set_index("anno")["y"]
    assert precise.to_dict() == {"global": 0.5, "right": 1, "wrong": 0}


def test_an_annotation_of_one_class_has_metrics_but_no_curve(sites):
    outputs, _ = sites
    methylated = {"methylated": np.tile([False, True], 4)}
    assert np.isnan(values(accuracy_by_annotation(outputs, methylated), "auc")["methylated"])
    assert set(curves_by_annotation(outputs, methylated)["anno"]) == {"global"}
    label, score = outputs["cpg/a"]
    assert curves_by_annotation({"cpg/a": (label * NAN, score)}, {}).empty


# Sites that the original's integration test finds inside (1) and outside (0): chromosome, 1-based position.
EXPECTED = {
    "CGI": "18:3000023:0",
    "exons": (
        "18:3000023:0 18:3267095:1 18:4375924:1 18:5592169:1 18:5592176:1 18:5592182:1 18:5592199:1 19:4438754:0"
    ),
}


@pytest.mark.needs_shared_data
def test_real_sites_lie_where_the_original_finds_them(shared_data):
    folder, sizes = shared_data / "deepcpg", {"18": 90_702_639, "19": 61_431_566}
    targets = [Target(identifier=name, file=folder / f"{name}.bed.gz") for name in ("BS27_4_SER", "BS28_2_SER")]
    states = read_cells(targets, sizes=sizes, aliases={})
    files = {name: folder / f"{name}.bed.gz" for name in EXPECTED}
    found = annotate(states.chrom_index, states.position, files, sizes=sizes, aliases={})
    for name, rows in EXPECTED.items():
        for chrom, position, expected in (map(int, row.split(":")) for row in rows.split()):
            here = (states.chrom_index == chrom - 18) & (states.position == position - 1)
            assert found[name][here].tolist() == [bool(expected)]
