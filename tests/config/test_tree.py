from __future__ import annotations

import pytest
import yaml

from genograph.config import load_config, parse_config
from genograph.describe import CONFIGS
from genograph.errors import InputError
from tests.tiny import config_tree


def write(tmp_path, tree):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(tree))
    return path


@pytest.mark.parametrize("name", [".", "..", "...", "a/b", ""])
@pytest.mark.parametrize("where", ["name", "ablation.arms"])
def test_a_name_that_leads_out_of_its_folder_is_refused(name, where, tmp_path):
    arm = f"[{{name: '{name}', set: [seed=1]}}]"
    with pytest.raises(InputError, match=where):
        load_config(write(tmp_path, config_tree()), [f"{where}='{name}'" if where == "name" else f"{where}={arm}"])


def test_a_name_may_begin_with_a_dot(tmp_path):
    assert load_config(write(tmp_path, config_tree()), ["name=..a.b"]).name == "..a.b"


def test_paths_start_from_the_folder_of_the_config(tmp_path):
    config = load_config(write(tmp_path, config_tree()))
    assert config.genome.fasta == tmp_path / "genome.fa"
    assert config.contacts.file == f"{tmp_path}/map.cool"


def test_the_group_of_a_multi_resolution_map_stays_behind_the_path(tmp_path):
    tree = config_tree() | {"contacts": {"file": "x.mcool::/resolutions/5000"}}
    assert parse_config(tree, tmp_path).contacts.file == f"{tmp_path}/x.mcool::/resolutions/5000"


def test_a_resolved_config_reads_back_equal(tmp_path):
    config = load_config(write(tmp_path, config_tree()))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "config.yaml").write_text(config.to_yaml())
    assert load_config(tmp_path / "elsewhere") == config


def test_paths_of_changes_start_at_the_config_and_for_a_run_where_one_is(tmp_path, monkeypatch):
    path = write(tmp_path, config_tree())
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").write_text(load_config(path).to_yaml())
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert load_config(path, ["store=moved"]).store == tmp_path / "moved"
    run = load_config(tmp_path / "run", ["store=moved"])
    assert run.store == tmp_path / "here" / "moved"
    assert run.genome == load_config(path).genome


def test_overrides_reach_sections_and_list_items(tmp_path):
    path = write(tmp_path, config_tree())
    config = load_config(path, ["training.max_epochs=7", "graph.edges.1.top_k=9", "model.processor=[]"])
    assert config.training.max_epochs == 7
    assert config.graph.edges[1].options["top_k"] == 9
    assert config.model.processor == []


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.max_epoch=3", "training: no key 'max_epoch'. Did you mean 'max_epochs'?"),
        ("training.start_from.encodr=x", "training.start_from: no part 'encodr'. Did you mean 'encoder'?"),
        ("trainin.max_epochs=3", "config: no key 'trainin'. Did you mean 'training'?"),
        (
            "graph.edges=[{name: linear, raech: 2}]",
            "graph.edges[0]: 'linear' has no option 'raech'. Did you mean 'reach'?",
        ),
        ("graph.edges=[{name: hicc}]", "graph.edges[0]: no 'hicc' here. Did you mean 'hic'?"),
        (
            "model.encoder={name: basenji, blocs: []}",
            "model.encoder: 'basenji' has no option 'blocs'. Did you mean 'blocks'?",
        ),
        ("model.heads={expresion: {}}", "model.heads: no head 'expresion'. Did you mean 'expression'?"),
        ("model.heads={expression: {loss: bce}}", "'expression': loss: "),
        ("augment.shift=128", "augment.shift: 128 bp parts sequence from tracks in bins of 128 bp; choose at most 127"),
        ("prediction.shifts=[0, -128]", "prediction.shifts: -128 bp parts sequence from tracks in bins of 128 bp;"),
        ("bins={bin_size: 1}", "augment.shift: 3 bp parts sequence from tracks in bins of 1 bp; choose at most 0."),
        ("training.learning_rate=fast", "training.learning_rate: "),
        ("batch.crop=40", "crop 40 on both sides leaves nothing of a window of 64 bins."),
        ("bins.node_size=64", "node_size 64 is smaller than bin_size 128"),
        ("graph.edges.7.top_k=1", "there is no item 7 in graph.edges, which has 2, counted from 0."),
        ("training", "'training' is no override"),
    ],
)
def test_a_wrong_key_or_value_is_named_with_the_way_out(tmp_path, override, message):
    with pytest.raises(InputError) as caught:
        load_config(write(tmp_path, config_tree()), [override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_ridge_of_k_mers_that_bins_are_too_short_for_is_refused(tmp_path):
    tree = config_tree() | {"bins": {"bin_size": 1}, "augment": {"shift": 0}}
    message = "a 4-mer does not fit into the 3 bp that the ridge sees with bins of 1 bp; choose at most 3, or null"
    with pytest.raises(InputError, match=f"^evaluation.kmer_ridge: {message}"):
        parse_config(tree, tmp_path)


def test_a_config_that_is_no_yaml_is_one_line(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("a: [1,\nb: {")
    with pytest.raises(InputError, match="is not YAML") as caught:
        load_config(path)
    assert "\n" not in str(caught.value)


def test_a_missing_config_is_named(tmp_path):
    with pytest.raises(InputError, match="no config at"):
        load_config(tmp_path / "none.yaml")


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_is_valid(path):
    assert load_config(path).name


@pytest.mark.parametrize("name", ["ecoli", "yeast"])
def test_a_basenji_twin_differs_in_edges_and_processor_alone(name):
    graph = load_config(CONFIGS / f"{name}.yaml").model_dump()
    twin = load_config(CONFIGS / f"{name}_basenji.yaml").model_dump()
    for config in (graph, twin):
        del config["graph"]["edges"], config["model"]["processor"]
        del config["name"], config["source"]  # what they are called
        del config["ablation"]  # of contacts, which the twin lacks
    assert graph == twin
