"""Edges from files of loops and of pairs of genes or regions."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.genes import Genes
from genograph.genome.sites import Sites
from genograph.graph import LinearEdges, LoopEdges, TableEdges, build_graph
from genograph.graph import placing as placing_module

NODES = Bins({"chr1": 10_000, "chr2": 5_500}, 1000, partial=True)  # nodes 0 to 9, and 10 to 15


def write(folder, *lines: str, name="pairs.tsv"):
    path = folder / name
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def edges_of(graph) -> dict[tuple[int, int], float]:
    return {(int(s), int(d)): float(w) for s, d, w in zip(*graph.edge_index, graph.weight, strict=True) if s < d}


def loops(tmp_path, *lines: str, nodes=NODES, **options):
    return build_graph([LoopEdges(file=write(tmp_path, *lines), **options)], nodes)


def test_a_loop_joins_the_nodes_that_hold_the_midpoints_of_its_anchors(tmp_path):
    graph = loops(tmp_path, "chr1 1900 2900 chr1 7000 8001", "chr1 0 1000 chr1 3000 4000")
    assert edges_of(graph) == {(2, 7): 1, (0, 3): 1}
    assert graph.attribute_names == ("weight", "log10_distance", "loops")
    assert graph.contact_types == ("loops",)
    assert graph.edge_attr[:, 1] == pytest.approx(np.log10([3000, 5000, 3000, 5000]))


def test_a_loop_may_join_all_nodes_that_its_anchors_touch(tmp_path):
    graph = loops(tmp_path, "chr1 1900 2900 chr1 7000 8001", "chr1 0 1000 chr1 3000 4000", anchors="touched")
    assert edges_of(graph) == {(1, 7): 1, (1, 8): 1, (2, 7): 1, (2, 8): 1, (0, 3): 1}


def test_loops_between_chromosomes_are_as_long_as_the_longest_one(tmp_path):
    graph = loops(tmp_path, "chr2 5000 5500 chr1 0 1000")
    assert edges_of(graph) == {(0, 15): 1}
    assert graph.edge_attr[:, 1] == pytest.approx(4.0)
    assert graph.summary()["edges"]["loops"]["between_chromosomes"] == 1


def test_of_two_loops_between_the_same_nodes_the_larger_weight_stays(tmp_path):
    graph = loops(tmp_path, "chr1 0 9 chr1 5000 5009 2", "chr1 5500 5509 chr1 10 19 3.5", weight=7)
    assert edges_of(graph) == {(0, 5): 3.5}


def test_two_files_may_be_two_types(tmp_path):
    builders = [
        LoopEdges(file=write(tmp_path, "chr1 0 9 chr1 5000 5009", name=name), type=name) for name in ("ctcf", "h3k27ac")
    ]
    graph = build_graph([LinearEdges(), *builders], NODES)
    assert graph.edge_types == ("linear", "ctcf", "h3k27ac")
    assert graph.degree("ctcf").tolist() == graph.degree("h3k27ac").tolist() == [1, 0, 0, 0, 0, 1] + [0] * 10


def test_pairs_within_one_node_are_left_out_and_counted(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="genograph")
    graph = loops(tmp_path, "chr1 0 100 chr1 800 900", "chr1 0 100 chr1 1800 1900", "chr1 0 9 chr1 8 9")
    assert edges_of(graph) == {(0, 1): 1}
    assert "pairs.tsv: of 3 pairs 2 within one node are left out." in caplog.text


def test_pairs_beside_all_sites_are_left_out_and_counted(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="genograph")
    sites = Sites({"chr1": 10_000}, 100, chrom=np.zeros(3, int), start=np.array([0, 500, 5000]))
    graph = loops(tmp_path, "chr1 0 100 chr1 500 600", "chr1 0 100 chr1 5200 5300", nodes=sites)
    assert edges_of(graph) == {(0, 1): 1}
    assert "of 2 pairs 1 beside all nodes are left out." in caplog.text


@pytest.mark.parametrize("anchors", ["midpoint", "touched"])
def test_a_file_whose_pairs_join_nothing_is_refused(anchors, tmp_path):
    with pytest.raises(
        InputError, match=r"no pair joins two nodes of 1,000 bp; of 2 lie 2 within one node\. Use other nodes"
    ):
        loops(tmp_path, "chr1 0 100 chr1 800 900", "chr1 0 10 chr1 800 900", anchors=anchors)


def test_a_file_of_other_chromosomes_alone_is_refused(tmp_path):
    with pytest.raises(InputError, match="no pair joins two nodes of 1,000 bp; of 0 lie none on this genome"):
        loops(tmp_path, "chr1 0 100 chr3 800 900")


def test_more_pairs_of_nodes_than_memory_holds_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(placing_module, "MAX_PAIRS", 5)
    with pytest.raises(InputError, match=r"joins 6 pairs of nodes, more than 5\. Use anchors: midpoint"):
        loops(tmp_path, "chr1 0 2000 chr1 5000 8000", anchors="touched")


def test_a_type_that_is_an_attribute_or_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="edges cannot be of type 'weight': that is an attribute"):
        loops(tmp_path, "chr1 0 100 chr1 5000 5009", type="weight")
    with pytest.raises(InputError, match="edges cannot be of type '': that is nothing"):
        loops(tmp_path, "chr1 0 100 chr1 5000 5009", type="")


def genes(**columns) -> Genes:
    count = len(columns["id"])
    rest = {"chrom": ["chr1"] * count, "strand": ["+"] * count, "biotype": [""] * count}
    return Genes(**{key: np.array(each) for key, each in {"name": columns["id"], **rest, **columns}.items()})


GENES = genes(id=["crp", "lacZ", "lacI"], start=[100, 3000, 6500], end=[700, 5500, 6900], strand=["+", "-", "+"])


def table(tmp_path, *lines: str, **options):
    return build_graph([TableEdges(file=write(tmp_path, *lines), **options)], NODES, genes=GENES)


def test_genes_are_joined_at_the_nodes_of_their_tss(tmp_path):
    graph = table(
        tmp_path,
        "regulator\ttarget\tscore",
        "crp\tlacZ\t2",
        "lacI\tlacZ\t3",
        type="regulation",
        weight="score",
        source="regulator",
        target="target",
    )
    assert edges_of(graph) == {(0, 5): 2, (5, 6): 3}
    assert graph.edge_types == ("regulation",)


def test_genes_may_be_all_nodes_that_they_touch(tmp_path):
    assert edges_of(table(tmp_path, "crp\tlacZ", anchors="touched")) == {(0, 3): 1, (0, 4): 1, (0, 5): 1}


def test_regions_and_genes_may_stand_in_one_table(tmp_path):
    assert edges_of(table(tmp_path, "chr2:0-1000\tlacI", "chr1:0-1000\tchr1:9000-10000")) == {(6, 10): 1, (0, 9): 1}


def test_a_gene_that_regulates_itself_is_left_out(tmp_path):
    assert edges_of(table(tmp_path, "lacI\tlacI", "lacI\tlacZ")) == {(5, 6): 1}
