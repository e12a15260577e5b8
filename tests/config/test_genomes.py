"""A config of several genomes holds the config of each."""

from __future__ import annotations

import pytest
import yaml

from genograph.config import load_config, parse_config
from genograph.errors import InputError
from tests import two_genomes


@pytest.fixture
def tree():
    return two_genomes.config_tree()


def test_a_genome_has_its_own_sections_and_the_others_of_all(tree):
    config = parse_config(tree)
    mouse = config.of("mouse")
    assert mouse.genome == config.genomes["mouse"].genome
    assert (mouse.batch, mouse.training, mouse.graph, mouse.bins) == (
        config.batch,
        config.training,
        config.graph,
        config.bins,
    )
    assert (mouse.name, mouse.store, mouse.genomes) == ("both-mouse", config.store / "mouse", {})


def test_heads_are_those_of_the_model_unless_a_genome_has_its_own(tree):
    config = parse_config(tree)
    assert [*config.of("human").model.heads] == ["coverage", "expression", "methylation"]
    assert [*config.of("mouse").model.heads] == ["coverage"]
    assert config.of("mouse").model.encoder == config.model.encoder


def test_a_config_of_one_genome_is_its_own(tree):
    mouse = parse_config(tree).of("mouse")
    assert mouse.of(None) is mouse
    with pytest.raises(InputError, match=r"no genomes\.mouse"):
        mouse.of("mouse")


def test_the_resolved_config_is_read_back(tree, tmp_path):
    config = parse_config(tree, folder=tmp_path)
    (tmp_path / "config.yaml").write_text(config.to_yaml())
    assert load_config(tmp_path / "config.yaml") == config
    assert load_config(tmp_path / "config.yaml").of("mouse") == config.of("mouse")


def test_one_key_of_one_genome_can_be_changed_on_the_command_line(tree, tmp_path):
    tree["genomes"]["mouse"]["splits"] = tree["genomes"]["human"]["splits"]
    (tmp_path / "both.yaml").write_text(yaml.safe_dump(tree))
    assert "*id001" in (tmp_path / "both.yaml").read_text()  # said again by an alias
    config = load_config(tmp_path / "both.yaml", ["genomes.mouse.splits.gap=7"])
    assert [config.of(genome).splits.gap for genome in ("human", "mouse")] == [0, 7]


@pytest.mark.parametrize(
    ("own", "match"),
    [
        ({"bins": {"bin_size": 64}}, "genomes: bins.bin_size differ: 128 of human, 64 of mouse"),
        (
            {"graph": {"edges": [{"name": "linear"}]}},
            r"graph\.edges differ: .* from a file, in a graph of its own: \{name: loops, file: .*, type: hic\}\.",
        ),
        (
            {"splits": {"valid": ["a"], "test": ["b"], "groups": "h.bed"}},
            "genomes: splits.groups differ: None of human",
        ),
        ({"store": "stores/human"}, "genomes: human and mouse have one store"),
        ({"heads": {"covrage": {}}}, "genomes.mouse.heads: no head 'covrage'"),
        ({"trunk": {}}, "genomes.mouse: no key 'trunk'"),
        ({"bins": {"bin_size": 2}}, "genomes.mouse: augment.shift: 3 bp"),
    ],
)
def test_genomes_that_cannot_share_a_model_are_refused_with_what_differs(tree, own, match):
    tree["genomes"]["mouse"] |= own
    with pytest.raises(InputError, match=match):
        parse_config(tree)


def test_no_two_of_three_genomes_have_one_store(tree):
    tree["genomes"]["rat"] = tree["genomes"]["mouse"] | {"store": "stores/mouse"}
    with pytest.raises(InputError, match="genomes: mouse and rat have one store"):
        parse_config(tree)


def test_a_genome_knows_what_others_hold_out(tree):
    for genome, valid in (("human", "chrB"), ("mouse", "chrA")):
        tree["genomes"][genome]["splits"] = {"valid": [valid], "test": ["chrC"], "groups": "homologs.bed"}
    splits = parse_config(tree).of("mouse").splits
    assert splits.genome == "mouse"
    assert splits.elsewhere == {"human": {"valid": ["chrB"], "test": ["chrC"]}}
