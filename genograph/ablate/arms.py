"""The arms of an ablation: what is done to a config, one change each.

An arm is a function from a config to a config and one line in `ARMS`; in YAML it is a name and `section.key=value`
changes. The first line of its docstring is its description in the report.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from genograph.config import ArmConfig, Config, LayerConfig, changed_keys, parse_config
from genograph.errors import InputError, nearest
from genograph.experiment import Experiment
from genograph.graph import HiCEdges, TransEdges
from genograph.graph.genome_graph import LINEAR
from genograph.nn.layers.dilated import Dilated, dilation_rates
from genograph.nn.layers.graph_block import GraphBlock
from genograph.nn.model import count_parameters
from genograph.overrides import apply_override

REFERENCE = "hic"
FRACTIONS = (50, 25, 10)  # per cent of the reads of the map
MAX_FILTERS = 4096
# Arms whose contacts reach other partners, as many.
SCRAMBLED = ("rewired", "distance_matched", "rewired_by_distance", "node_permuted")
ONLY_IF_NAMED = ("rewired_by_distance",)  # asked for where degree and distance tell much; keeps many edges if few
# Sections that decide what is predicted and judged; an arm of one's own leaves them as they are.
SHARED = {"seed", "genome", "tracks", "tfrecords", "bins", "sites", "splits", "prediction", "ablation"}

Tree = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """One arm: the config that its runs train, but for seed and splits."""

    name: str
    description: str
    config: Config


def make_arms(config: Config) -> list[Arm]:
    """The arms of a config, the reference first.

    Those that `ablation.arms` names, or all of `arms_of` that apply, but for `ONLY_IF_NAMED`. One of these that changes
    nothing, or the same as an earlier one, is left out.

    Raises:
        InputError: If an arm is unknown, named twice, or does not apply to the config, or this has no contact edges.
    """
    if not contact_types(config):
        raise InputError("ablate: graph.edges has no contact edges, such as hic, whose worth could be asked for.")
    asked, known = config.ablation.arms, arms_of(config)
    arms = [_named_arm(config, REFERENCE)]
    for each in [name for name in known if name not in ONLY_IF_NAMED] if asked is None else asked:
        name = each if isinstance(each, str) else each.name
        if each == REFERENCE:
            continue
        if name in [arm.name for arm in arms]:
            raise InputError(f"ablation.arms: '{name}' comes twice.")
        try:
            arm = _named_arm(config, each) if isinstance(each, str) else _own_arm(config, each)
        except NotApplicable:
            if asked is not None:
                raise
            continue
        if asked is not None or arm.config not in [other.config for other in arms]:
            arms.append(arm)
    return arms


class NotApplicable(InputError):
    """An arm that a config gives nothing to change."""


def hic(config: Config) -> Config:
    """The config as it stands."""
    return config


def no_graph(config: Config) -> Config:
    """No edges and no graph layers; layers along the sequence stay."""
    return _without_graph(config, _along_sequence(config))


def features_only(config: Config) -> Config:
    """The same layers and parameters on a graph without edges: nothing is passed on."""
    return _controlled(config, "isolated")


def basenji(config: Config) -> Config:
    """Dilated convolutions in place of the graph, as many parameters, a receptive field of a window or more."""
    along = _along_sequence(config)
    place = next((i for i, layer in enumerate(along) if layer["name"] == "dilated"), len(along))
    dilated = _reaching(along[place] if place < len(along) else {"name": "dilated"}, config.batch.window)

    def with_filters(filters: int) -> Config:
        return _without_graph(config, [*along[:place], {**dilated, "filters": filters}, *along[place + 1 :]])

    aim, low, high = _parameters(config), 1, MAX_FILTERS
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if _parameters(with_filters(middle)) >= aim else (middle + 1, high)
    return min((with_filters(max(low - 1, 1)), with_filters(low)), key=lambda each: abs(_parameters(each) - aim))


def graph_only(config: Config) -> Config:
    """The graph without the layers along the sequence: linear and contact edges, no dilated convolutions."""
    graph = [layer for layer in _processor(config) if _is_graph(layer)]
    if len(graph) == len(config.model.processor):
        raise NotApplicable("arm 'hic+linear': the config has no layers along the sequence to leave out.")
    return _changed(config, processor=graph)


def dilated_and_contacts(config: Config) -> Config:
    """Contact edges alone beside the layers along the sequence: no linear edges."""
    if not _along_sequence(config):
        raise NotApplicable("arm 'dilated+hic': the config has no layers along the sequence.")
    return drop_type(config, LINEAR)


def linear_only(config: Config) -> Config:
    """As many edges as before, all to the nearest nodes along the chromosome."""
    return _controlled(config, "linear_matched")


def rewired(config: Config) -> Config:
    """Contact edges exchanged at random, degree and strength of every node kept, in training and test."""
    return _controlled(config, "rewired")


def distance_matched(config: Config) -> Config:
    """Random contact edges, as many at every genomic distance, nodes covered about as before."""
    return _controlled(config, "distance_matched")


def rewired_by_distance(config: Config) -> Config:
    """Contact edges exchanged at random, degree of nodes kept and distance of edges, by classes twice as wide each."""
    return _controlled(config, "rewired_by_distance")


def node_permuted(config: Config) -> Config:
    """The contact graph kept, the nodes in it shuffled within their split."""
    return _controlled(config, "node_permuted")


def power_law(config: Config) -> Config:
    """As many edges, to the nearest nodes at the least distance of contacts: what distance alone makes one expect."""
    if not any(edge.name == HiCEdges.name for level in config.graph.levels for edge in level):
        raise NotApplicable("arm 'power_law': the config has no 'hic' edges to replace.")
    return _controlled(config, "linear_matched", min_distance=None)


def other_contacts(config: Config) -> Config:
    """The contacts of another map, such as another cell type's."""
    other = config.ablation.other_contacts
    if other is None:
        raise NotApplicable("arm 'other_contacts': name the map in ablation.other_contacts.")
    tree = config.model_dump(mode="json")
    tree["contacts"] = {**(tree["contacts"] or {}), "file": other}
    tree["store"] = f"{config.store}-other_contacts"
    return parse_config(tree)


def downsampled(config: Config, per_cent: int) -> Config:
    """Contacts from a share of the map's reads."""
    keep = {"downsample": per_cent / 100}
    of_map = {HiCEdges.name, TransEdges.name}
    thinned = _each_edge(config, lambda edge: {**edge, **keep} if edge["name"] in of_map else edge)
    if thinned.graph == config.graph:
        raise NotApplicable(f"arm 'downsampled_{per_cent}': the config has no 'hic' or 'trans' edges to thin.")
    return thinned


def drop_type(config: Config, kind: str) -> Config:
    """No edges of one type."""
    if len(_types(config)) < 2 or kind not in _types(config):
        raise NotApplicable(f"no '{kind}' edges beside others in graph.edges to drop.")
    return _controlled(config, "drop_type", type=kind)


def drop_attribute(config: Config, attribute: str) -> Config:
    """One attribute of the edges made the same for all."""
    return _controlled(config, "drop_attribute", attribute=attribute)


def drop_features(config: Config) -> Config:
    """Nothing that nodes bring along besides sequence, and no weights for it."""
    tree = config.model_dump(mode="json")
    tree["graph"]["features"] = None
    tree["training"]["start_from"].pop("features", None)
    tree["training"]["freeze"] = [part for part in tree["training"]["freeze"] if part != "features"]
    return parse_config(tree)


ARMS: dict[str, Callable[[Config], Config]] = {
    REFERENCE: hic,
    "no_graph": no_graph,
    "features_only": features_only,
    "basenji": basenji,
    "linear_only": linear_only,
    "hic+linear": graph_only,
    "dilated+hic": dilated_and_contacts,
    "rewired": rewired,
    "distance_matched": distance_matched,
    "rewired_by_distance": rewired_by_distance,
    "node_permuted": node_permuted,
    "power_law": power_law,
    "other_contacts": other_contacts,
    **{f"downsampled_{each}": partial(downsampled, per_cent=each) for each in FRACTIONS},
    "drop_linear": partial(drop_type, kind=LINEAR),
    "drop_hic": partial(drop_type, kind="hic"),
    "drop_weight": partial(drop_attribute, attribute="weight"),
    "drop_distance": partial(drop_attribute, attribute="log10_distance"),
}


def arms_of(config: Config) -> dict[str, Callable[[Config], Config]]:
    """`ARMS`, and those that a config's own types and attributes of edges and features make: `drop_<name>`."""
    types = {f"drop_{kind}": partial(drop_type, kind=kind) for kind in _types(config)}
    own = dict.fromkeys(
        name for edge in chain(*config.graph.levels) for name in getattr(edge.build(), "attributes", ())
    )
    attributes = {f"drop_{name}": partial(drop_attribute, attribute=name) for name in own}
    features = {"drop_features": drop_features} if config.graph.features else {}
    return ARMS | {name: arm for name, arm in (types | attributes | features).items() if name not in ARMS}


def _reaching(dilated: Tree, bins: int) -> Tree:
    """A layer of dilated convolutions with as many residuals as reach over some bins, or those it has."""
    defaults = inspect.signature(Dilated).parameters
    layers, kernel, multiplier = (
        dilated.get(key, defaults[key].default) for key in ("layers", "kernel", "rate_multiplier")
    )
    while kernel > 1 and sum(dilation_rates(layers, multiplier)) * (kernel - 1) < bins:
        layers += 1
    return {**dilated, "layers": layers}


def _named_arm(config: Config, name: str) -> Arm:
    known = arms_of(config)
    if name not in known:
        raise InputError(
            f"ablation.arms: no arm '{name}'.{nearest(name, known)} Your own are {{name: ..., set: [...]}}."
        )
    change = known[name]
    function = change.func if isinstance(change, partial) else change
    extra = ", ".join(map(str, change.keywords.values())) if isinstance(change, partial) else ""
    description = (function.__doc__ or "").partition("\n")[0]
    return Arm(name, f"{description.rstrip('.')} ({extra})." if extra else description, change(config))


def _own_arm(config: Config, arm: ArmConfig) -> Arm:
    if arm.name in arms_of(config):
        raise InputError(f"ablation.arms: '{arm.name}' is an arm already; give yours another name.")
    before, tree = (config.model_dump(mode="json") for _ in range(2))
    try:
        for change in arm.set:
            apply_override(tree, change)
        after = parse_config(tree, folder=arm.folder)
    except InputError as error:
        raise InputError(f"ablation.arms: '{arm.name}': {error}") from None
    changed = sorted(changed_keys(before, after.model_dump(mode="json")))
    shared = [key for key in changed if key.split(".")[0] in SHARED]
    if shared:
        raise InputError(f"ablation.arms: '{arm.name}' changes {', '.join(shared)}, which all arms share.")
    if any(key.split(".")[0] == "contacts" for key in changed) and "store" not in changed:
        after = after.model_copy(update={"store": config.store.with_name(f"{config.store.name}-{arm.name}")})
    return Arm(arm.name, arm.description or ", ".join(arm.set), after)


def _without_graph(config: Config, processor: list[Tree]) -> Config:
    """The config without edges on any level, and with other processor layers."""
    return _changed(config, edges=[], coarse=[], controls=[], processor=processor)


def _each_edge(config: Config, change: Callable[[Tree], Tree]) -> Config:
    """The config with the edges of all levels changed."""
    tree = config.model_dump(mode="json")
    for level in (tree["graph"], *tree["graph"]["coarse"]):
        level["edges"] = [change(edge) for edge in level["edges"]]
    return parse_config(tree)


def _changed(config: Config, **changes: Any) -> Config:
    """The config with other edges, controls or processor layers."""
    tree = config.model_dump(mode="json")
    for key, value in changes.items():
        tree["model" if key == "processor" else "graph"][key] = value
    return parse_config(tree)


def _controlled(config: Config, name: str, **options: Any) -> Config:
    """The config with one more control of its graph."""
    before = [control.model_dump(mode="json") for control in config.graph.controls]
    # What drops attributes comes last, as other controls write them anew.
    first = next((i for i, each in enumerate(before) if each["name"] == "drop_attribute"), len(before))
    return _changed(config, controls=[*before[:first], {"name": name, **options}, *before[first:]])


def contact_types(config: Config) -> list[str]:
    """Types of the config's edges other than linear ones."""
    return [kind for kind in _types(config) if kind != LINEAR]


def with_seed(config: Config, seed: int) -> Config:
    """The config with another seed, of what is thinned too."""
    seeded = _each_edge(config, lambda edge: edge | {"seed": seed} if "downsample" in edge else edge)
    return seeded.model_copy(update={"seed": seed})


def _types(config: Config) -> list[str]:
    return list(dict.fromkeys([*config.graph.edge_types, *chain(*config.graph.coarse_edge_types)]))


def _processor(config: Config) -> list[Tree]:
    return [layer.model_dump(mode="json") for layer in config.model.processor]


def _along_sequence(config: Config) -> list[Tree]:
    return [layer for layer in _processor(config) if not _is_graph(layer)]


def _is_graph(layer: Tree) -> bool:
    return issubclass(LayerConfig.contract.find(layer["name"]), GraphBlock)


def _parameters(config: Config) -> int:
    return count_parameters(Experiment.open(config).model()).trainable
