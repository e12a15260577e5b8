"""What each arm changes, and what all arms share."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch

from genograph.ablate.arms import ARMS, REFERENCE, NotApplicable, basenji, make_arms, with_seed
from genograph.config import load_config
from genograph.errors import InputError
from genograph.experiment import Experiment
from genograph.graph.genome_graph import GenomeGraph
from genograph.nn.layers.dilated import Dilated
from genograph.nn.layers.graph_block import GraphBlock
from genograph.nn.model import count_parameters

SAME_PARAMETERS = (
    "features_only",
    "rewired",
    "distance_matched",
    "rewired_by_distance",
    "node_permuted",
    "linear_only",
    "power_law",
    *(name for name in ARMS if name.startswith("drop_")),
)
WIDE = (  # enough parameters that one filter more or less is little
    "model.encoder.blocks.1.filters=64",
    "model.processor.0.filters=32",
    "model.processor.1.heads=4",
)


@pytest.fixture
def load(world):
    """The config of the tiny world with every arm possible, and changes."""
    return lambda *changes: load_config(world, [f"ablation.other_contacts={world.parent / 'other.cool'}", *changes])


@pytest.fixture
def opened(load):
    """Opens an arm of that config."""
    return lambda arm, *changes: Experiment.open(ARMS[arm](load(*changes)))


def pairs(graph, kind=None):
    """(lower node, higher node, weight) of the edges, or of those of one type."""
    kept = graph.pairs() if kind is None else graph.pairs().take(graph.pairs().kind == graph.edge_types.index(kind))
    return list(zip(kept.first.tolist(), kept.second.tolist(), kept.attr[:, 0].tolist(), strict=True))


def joined(graph, kind):
    return [(first, second) for first, second, _ in pairs(graph, kind)]


def distances(graph, kind):
    return sorted(second - first for first, second in joined(graph, kind))


def octaves(graph):
    return np.log2(2000 * np.array(distances(graph, "hic"))).astype(int)  # of bp


def layers(experiment):
    return [type(layer).__name__ for layer in experiment.model().processor.layers]


def is_constant(graph, column):
    return len(np.unique(graph.edge_attr[:, column])) == 1


def same_but(column, graph, reference):
    others = [number for number in range(reference.edge_attr.shape[1]) if number != column]
    return is_constant(graph, column) and np.array_equal(graph.edge_attr[:, others], reference.edge_attr[:, others])


# What holds of the graph and the layers of an arm (a) beside those of the reference (b).
HOLDS = {
    "hic": lambda a, b: pairs(a.graph) == pairs(b.graph) and layers(a) == ["Dilated", "GAT"],
    "no_graph": lambda a, b: not a.graph.num_edges and layers(a) == ["Dilated"],
    "features_only": lambda a, b: not a.graph.num_edges and layers(a) == ["Dilated", "GAT"],
    "basenji": lambda a, b: not a.graph.num_edges and layers(a) == ["Dilated"],
    "linear_only": lambda a, b: (
        len(pairs(a.graph)) == len(pairs(b.graph))
        and sum(distances(a.graph, "hic")) < sum(distances(b.graph, "hic"))
        and pairs(a.graph, "linear") == pairs(b.graph, "linear")
    ),
    "hic+linear": lambda a, b: pairs(a.graph) == pairs(b.graph) and layers(a) == ["GAT"],
    "dilated+hic": lambda a, b: pairs(a.graph) == pairs(b.graph, "hic") and layers(a) == ["Dilated", "GAT"],
    "rewired": lambda a, b: (
        np.array_equal(a.graph.degree("hic"), b.graph.degree("hic")) and pairs(a.graph) != pairs(b.graph)
    ),
    "distance_matched": lambda a, b: (
        distances(a.graph, "hic") == distances(b.graph, "hic") and pairs(a.graph) != pairs(b.graph)
    ),
    "rewired_by_distance": lambda a, b: (
        np.array_equal(a.graph.degree("hic"), b.graph.degree("hic"))
        and np.array_equal(octaves(a.graph), octaves(b.graph))
        and pairs(a.graph) != pairs(b.graph)
    ),
    "node_permuted": lambda a, b: (
        sorted(a.graph.degree("hic")) == sorted(b.graph.degree("hic")) and pairs(a.graph) != pairs(b.graph)
    ),
    "power_law": lambda a, b: (
        len(pairs(a.graph, "hic")) == len(pairs(b.graph, "hic"))
        and {weight for *_, weight in pairs(a.graph, "hic")} == {1.0}
        and min(distances(a.graph, "hic")) == 2  # min_distance of 4 kb is kept
        and sum(distances(a.graph, "hic")) < sum(distances(b.graph, "hic"))
    ),
    "other_contacts": lambda a, b: pairs(a.graph, "hic") != pairs(b.graph, "hic") and a.store.path != b.store.path,
    **{
        f"downsampled_{per_cent}": lambda a, b: pairs(a.graph, "hic") != pairs(b.graph, "hic")
        for per_cent in (50, 25, 10)
    },
    "drop_linear": lambda a, b: pairs(a.graph) == pairs(b.graph, "hic"),
    "drop_hic": lambda a, b: pairs(a.graph) == pairs(b.graph, "linear"),
    "drop_weight": lambda a, b: same_but(0, a.graph, b.graph),
    "drop_distance": lambda a, b: same_but(1, a.graph, b.graph),
}


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_is_what_it_says_and_predicts(arm, opened):
    experiment = opened(arm)
    assert HOLDS[arm](experiment, opened(REFERENCE))
    model = experiment.model().eval()
    batch = experiment.dataset("valid", model.halo).make_batch([0, 1])
    assert all(torch.isfinite(rate).all() for rate in model(batch).values())


@pytest.mark.parametrize("arm", ARMS)
def test_an_arm_changes_nothing_but_graph_processor_and_contacts(arm, load):
    before, after = load().model_dump(), ARMS[arm](load()).model_dump()
    changed = {key for key in before if before[key] != after[key]}
    assert changed <= {"graph", "model"} | ({"contacts", "store"} if arm == "other_contacts" else set())
    assert {key for key in before["model"] if before["model"][key] != after["model"][key]} <= {"processor"}


@pytest.mark.parametrize("arm", SAME_PARAMETERS)
def test_a_control_of_the_graph_has_the_references_parameters_and_starts_alike(arm, opened):
    ours, theirs = _state(opened(arm)), _state(opened(REFERENCE))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    ("arm", "shared"),
    [("no_graph", ("encoder", "processor.layers.0", "trunk", "heads")), ("basenji", ("encoder", "trunk", "heads"))],
)
def test_parts_that_an_arm_shares_with_the_reference_start_alike(arm, shared, opened):
    ours, theirs = _state(opened(arm)), _state(opened(REFERENCE))
    for part in shared:
        names = [name for name in theirs if name.startswith(part)]
        assert names
        assert all(torch.equal(ours[name], theirs[name]) for name in names)


@pytest.mark.parametrize("arm", ARMS)
def test_windows_come_in_the_same_order_in_all_arms(arm, opened):
    ours, theirs = (opened(each).dataset("train", 0, augment=True) for each in (arm, REFERENCE))
    np.testing.assert_array_equal(ours.windows, theirs.windows)
    one, other = (list(each.loader(shuffle=True).sampler) for each in (ours, theirs))
    assert one == other
    first = [each.collate(one[:2]) for each in (ours, theirs)]
    assert torch.equal(first[0].position, first[1].position)
    assert torch.equal(first[0].target["coverage"].nan_to_num(-1), first[1].target["coverage"].nan_to_num(-1))


def test_basenji_has_the_references_parameters_within_2_percent(opened):
    ours, theirs = (count_parameters(opened(arm, *WIDE).model()).trainable for arm in ("basenji", REFERENCE))
    assert abs(ours - theirs) < 0.02 * theirs


def test_basenji_changes_filters_and_depth_of_the_configs_dilated_layers_alone(load):
    (layer,) = basenji(load(*WIDE)).model.processor
    (given, _) = load(*WIDE).model.processor
    assert {**layer.options, "filters": 32, "layers": 2} == given.options


def test_basenji_is_deepened_until_it_reads_the_window_and_no_further(opened):
    (layer,) = opened("basenji", *WIDE).model().processor.layers
    assert layer.span == 2 * 63 >= 64 > 2 * 31  # bins; two layers of the config read 6


def test_basenji_of_a_config_without_layers_along_the_sequence_reads_the_window(load, opened):
    changes = ("model.processor=[{name: gat, heads: 2}]",)
    (layer,) = opened("basenji", *changes).model().processor.layers
    assert isinstance(layer, Dilated)
    assert layer.span == 2 * 63  # the window's 64 bins, from its first bin to its last and back


def test_graph_layers_are_gone_without_a_graph(opened):
    for arm in ("no_graph", "basenji"):
        assert not [part for part in opened(arm).model().modules() if isinstance(part, GraphBlock)]


def test_all_arms_that_a_config_allows_are_made_the_reference_first(load):
    arms = make_arms(load())
    # `dilated+hic` is what `drop_linear` is, and so comes once; one more comes only if it is named.
    assert [arm.name for arm in arms] == [name for name in ARMS if name not in ("drop_linear", "rewired_by_distance")]
    assert make_arms(load("ablation.arms=[rewired_by_distance]"))[1].name == "rewired_by_distance"
    assert [arm.description for arm in arms if not arm.description.endswith(".")] == []


def test_an_arm_is_described_by_its_docstring(load):
    arms = {arm.name: arm for arm in make_arms(load())}
    assert arms["rewired"].description == inspect.getdoc(ARMS["rewired"])
    assert arms["downsampled_25"].description == "Contacts from a share of the map's reads (25)."


def test_a_config_makes_arms_of_its_own_types_attributes_and_features(load, tmp_path):
    nodes = Experiment.open(load()).store.nodes
    given = {"kind": ["spring", "spring"], "attributes": {"effect": [1.0, -1.0]}}
    edges = GenomeGraph.from_edges(nodes, [0, 2], [9, 8], **given).save(tmp_path / "own.npz")
    (tmp_path / "features.csv").write_text("chrom,start,end,age\nchrA,0,2000,1\nchrA,2000,4000,2\n")
    own = [f"graph.edges={[{'name': 'linear'}, {'name': 'hic', 'top_k': 3}, *edges]}", "training.freeze=[features]"]
    config = load(*own, f"graph.features={tmp_path / 'features.csv'}")
    names = ("hic", "drop_spring", "drop_effect", "drop_features")
    arms = {arm.name: Experiment.open(arm.config) for arm in make_arms(config) if arm.name in names}
    assert {*arms} == {*names}
    reference = arms["hic"]
    assert len(pairs(arms["drop_spring"].graph)) == len(pairs(reference.graph)) - 2
    assert same_but(reference.graph.attribute_names.index("effect"), arms["drop_effect"].graph, reference.graph)
    assert reference.features is not None
    assert arms["drop_features"].features is None
    assert pairs(arms["drop_features"].graph) == pairs(reference.graph)
    with pytest.raises(InputError, match=r"no arm 'drop_sprin'.*drop_spring"):
        make_arms(config.model_copy(update={"ablation": config.ablation.model_copy(update={"arms": ["drop_sprin"]})}))


def test_an_arm_that_does_not_apply_is_left_out_unless_it_is_named(load):
    alone = ("graph.edges=[{name: hic}]", "ablation.other_contacts=null")
    names = [arm.name for arm in make_arms(load(*alone))]
    assert {"drop_linear", "drop_hic", "dilated+hic", "other_contacts"} & {*names} == set()
    assert {"no_graph", "features_only", "rewired", "power_law"} <= {*names}
    with pytest.raises(NotApplicable, match=r"no 'linear' edges beside others in graph\.edges to drop"):
        make_arms(load(*alone, "ablation.arms=[hic,drop_linear]"))


@pytest.mark.parametrize("edges", ["[]", "[{name: linear}]"])
def test_a_config_without_contact_edges_has_nothing_to_ask_for(edges, load):
    with pytest.raises(InputError, match="has no contact edges"):
        make_arms(load(f"graph.edges={edges}"))


def test_a_control_goes_before_what_drops_attributes(load):
    config = load("graph.controls=[{name: drop_attribute, attribute: weight}]", "ablation.arms=[hic,rewired]")
    _, arm = make_arms(config)
    assert [control.name for control in arm.config.graph.controls] == ["rewired", "drop_attribute"]


def test_paths_of_an_own_arm_start_from_the_folder_of_the_config(load):
    arm = "{name: masked, set: [graph.candidates=peaks.bed]}"
    config = load(f"ablation.arms=[hic,{arm}]")
    assert make_arms(config)[1].config.graph.candidates == config.genome.fasta.parent / "peaks.bed"


def test_edges_between_chromosomes_are_thinned_with_those_within(load):
    config = ARMS["downsampled_25"](load("graph.edges=[{name: linear}, {name: hic}, {name: trans}]"))
    assert [edge.options.get("downsample") for edge in config.graph.edges] == [None, 0.25, 0.25]


def test_each_seed_thins_the_map_anew(load):
    _, arm = make_arms(load("ablation.arms=[hic,downsampled_50]"))
    thinned = with_seed(arm.config, 7)
    assert thinned.seed == 7
    assert [edge.options.get("seed") for edge in thinned.graph.edges] == [None, 7]


def test_the_other_map_is_asked_for_by_name(load):
    names = [arm.name for arm in make_arms(load("ablation.other_contacts=null"))]
    assert "other_contacts" not in names
    with pytest.raises(InputError, match=r"name the map in ablation\.other_contacts"):
        make_arms(load("ablation.other_contacts=null", "ablation.arms=[hic,other_contacts]"))


def test_an_unknown_arm_is_refused_with_the_nearest_name(load):
    with pytest.raises(InputError, match=r"no arm 'rewird'\. Did you mean 'rewired'\?"):
        make_arms(load("ablation.arms=[hic,rewird]"))


def test_the_reference_runs_even_if_it_is_not_named(load):
    assert [arm.name for arm in make_arms(load("ablation.arms=[no_graph,rewired]"))] == ["hic", "no_graph", "rewired"]


@pytest.mark.parametrize("arms", ["[hic,rewired,rewired]", "[hic,{name: x,set: [seed=0]},{name: x,set: [seed=0]}]"])
def test_an_arm_that_comes_twice_is_refused(arms, load):
    with pytest.raises(InputError, match=r"comes twice"):
        make_arms(load(f"ablation.arms={arms}"))


def test_an_own_arm_is_the_config_with_its_changes(load):
    own = "{name: few, set: [graph.edges.1.top_k=1, training.learning_rate=0.1], description: One partner.}"
    _, arm = make_arms(load(f"ablation.arms=[hic,{own}]"))
    assert (arm.name, arm.description) == ("few", "One partner.")
    assert arm.config == load("graph.edges.1.top_k=1", "training.learning_rate=0.1", f"ablation.arms=[hic,{own}]")


def test_an_own_arm_is_described_by_its_changes(load):
    _, arm = make_arms(load("ablation.arms=[hic,{name: few, set: [graph.edges.1.top_k=1]}]"))
    assert arm.description == "graph.edges.1.top_k=1"


def test_an_own_arm_takes_no_name_that_is_taken(load):
    own = "{name: %s, set: [graph.edges.1.top_k=1]}"
    with pytest.raises(InputError, match="'rewired' is an arm already; give yours another name"):
        make_arms(load(f"ablation.arms=[no_graph,{own % 'rewired'}]"))
    with pytest.raises(InputError, match="'hic' comes twice"):
        make_arms(load(f"ablation.arms=[no_graph,{own % 'hic'}]"))


@pytest.mark.parametrize("change", ["seed=5", "bins.bin_size=64", "splits.test=[chrA]", "ablation.seeds=3"])
def test_an_own_arm_keeps_what_all_arms_share(change, load):
    with pytest.raises(InputError, match=f"'own' changes {change.split('=')[0]}, which all arms share"):
        make_arms(load(f"ablation.arms=[hic,{{name: own, set: ['{change}']}}]"))


def test_an_own_arm_with_other_contacts_has_a_store_of_its_own(load):
    hic, own = make_arms(load("ablation.arms=[hic,{name: near, set: [contacts.max_distance=20000]}]"))
    assert own.config.store == hic.config.store.with_name("store-near")


def _state(experiment):
    torch.manual_seed(7)
    return experiment.model().state_dict()
