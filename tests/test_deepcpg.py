"""DeepCpG on the road: from tables of cells to networks that impute what a cell does not cover."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from genograph.assays.cpg_statistics import statistics, window_statistics
from genograph.baselines import _near
from genograph.checkpoint import load_run
from genograph.config import load_config
from genograph.dataset import reverse_complement
from genograph.errors import InputError
from genograph.evaluate import evaluate
from genograph.experiment import Experiment
from genograph.genome.splits import SPLITS
from genograph.predict import predict
from genograph.prepare import prepare
from genograph.train import train
from tests.cpgs import CELLS, write_store, write_world

ENCODER = "{name: basset, input_length: 21, blocks: [{filters: 8, kernel: 5, pool: 4}], hidden: [8]}"
SEQUENCE = ["genome.fasta=genome.fa", "store=sequenced", f"model.encoder={ENCODER}"]
JOINT = [*SEQUENCE, "model.processor=[{name: dense, width: 16}]"]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return write_world(tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="module")
def store(world):
    return prepare(load_config(world))


def opened(world, *changes):
    experiment = Experiment.open(load_config(world, changes))
    torch.manual_seed(0)
    model = experiment.model()
    return experiment, model, experiment.dataset("train", model.halo)


def test_a_store_holds_the_sites_that_every_cell_covers(world, store):
    covered, states = store.covered, store.signals("methylation")
    assert covered.span.shape == (3, 3, 2)
    assert isinstance(covered.position, np.memmap)
    for cell, name in enumerate(CELLS):
        rows = [line.split("\t") for line in (world.parent / f"{name}.tsv").read_text().splitlines()]
        for index, chrom in enumerate(store.sizes):
            part = slice(*covered.span[cell, index])
            expected = [(int(position) - 1, float(value)) for where, position, value in rows if where == chrom]
            assert list(zip(covered.position[part].tolist(), covered.state[part].tolist(), strict=True)) == expected
    assert covered.span[-1, -1, 1] == len(covered.state) == np.isfinite(states).sum()


def test_what_cells_cover_is_looked_up_where_the_sites_are(store):
    chrom, start, _ = store.sites.T
    np.testing.assert_array_equal(store.covered.states_at(chrom, start), store.signals("methylation"))


def test_of_tracks_that_are_used_alone_the_others_are_no_cells(world, store):
    experiment, model, windows = opened(world, "tracks.use=[three, one]")
    assert experiment.store.covered.span.shape == (2, 3, 2)
    np.testing.assert_array_equal(experiment.store.covered.span, store.covered.span[[0, 2]])
    assert model(windows.make_batch([0, 1]))["methylation"].shape == (2, 1, 2)


STATISTICS = ["store=statistics", "model.heads.methylation_statistics={statistics: [diff, mean]}"]


def test_statistics_across_cells_are_tracks_where_three_cells_cover_a_site(world):
    experiment, model, windows = opened(world, *STATISTICS)
    states, found = (experiment.store.signals(name) for name in ("methylation", "methylation_statistics"))
    three = np.isfinite(states).all(axis=1)
    assert 20 < three.sum() < 200
    assert (np.isfinite(found) == three[:, None]).all()
    np.testing.assert_allclose(found[three, 1], states[three].mean(axis=1), rtol=1e-6)
    np.testing.assert_array_equal(found[three, 0], np.ptp(states[three], axis=1) > 0)
    names = [target.identifier for target in experiment.targets["methylation_statistics"]]
    assert names == ["methylation_diff", "methylation_mean"]
    batch = windows.make_batch(range(200))
    loss, parts = model.loss(batch)
    loss.backward()
    assert parts.keys() == {"methylation", "methylation_statistics"}
    assert all((each.grad != 0).any() for each in model.heads["methylation_statistics"].parameters())


ALL_STATISTICS = [
    "store=all_statistics",
    "model.heads.methylation_statistics={statistics: [cat_var, entropy], windows: [201, 2001]}",
]


def test_classes_of_variance_and_windows_are_tracks_with_the_values_of_the_reference(world):
    experiment, model, windows = opened(world, *ALL_STATISTICS)
    states, found = (experiment.store.signals(name) for name in ("methylation", "methylation_statistics"))
    names = [target.identifier for target in experiment.targets["methylation_statistics"]]
    of_site = ["methylation_cat_var_0", "methylation_cat_var_1", "methylation_cat_var_2", "methylation_entropy"]
    assert names[:4] == of_site
    assert names[4:] == [each.replace("methylation", f"methylation_{bp}") for bp in (201, 2001) for each in of_site]
    chrom, start, _ = experiment.store.sites.T
    expected = [statistics(states), *window_statistics(experiment.store.covered, chrom, start, (201, 2001)).values()]
    for number, each in enumerate(expected):
        part = found[:, 4 * number : 4 * number + 4]
        np.testing.assert_array_equal(part[:, 3], each["entropy"])
        np.testing.assert_array_equal(np.isnan(part).any(axis=1), np.isnan(each["cat_var"]))
        is_known = ~np.isnan(each["cat_var"])
        np.testing.assert_array_equal(part[is_known, :3].argmax(axis=1), each["cat_var"][is_known])
        assert (part[is_known, :3].sum(axis=1) == 1).all()
    assert not np.isnan(found[:, 4:]).any()  # some cell covers every site
    loss, _ = model.loss(windows.make_batch(range(200)))
    loss.backward()
    assert all((each.grad != 0).any() for each in model.heads["methylation_statistics"].parameters())


def test_windows_about_bins_that_are_no_cpgs_are_refused(world):
    head = "model.heads.methylation_statistics={windows: [1001]}"
    with pytest.raises(InputError, match=r"windows are about CpGs that cells cover; set sites: \{source: covered\}"):
        prepare(load_config(world, ["store=peaks", head, "sites={source: peaks}"]))


def test_other_statistics_are_another_store(world):
    before = prepare(load_config(world, STATISTICS)).signals("methylation_statistics").shape
    after = prepare(load_config(world, [*STATISTICS, "model.heads.methylation_statistics={}"]))
    assert (before[1], after.signals("methylation_statistics").shape[1]) == (2, 3)


def test_statistics_of_two_cells_are_refused(world):
    table = world.parent / "few.tsv"
    table.write_text("".join((world.parent / "targets.tsv").read_text().splitlines(True)[:3]))
    with pytest.raises(InputError, match=r"statistics are of three tracks of methylation and more; .* has 2"):
        prepare(load_config(world, [*STATISTICS, "store=few", f"tracks.targets={table}"]))
    table.write_text(table.read_text().replace("\tmethylation\n", "\tmethylation_statistics\n"))
    with pytest.raises(InputError, match=r"methylation_statistics are computed from other tracks; ask for them by"):
        prepare(load_config(world, [*STATISTICS, "store=few", f"tracks.targets={table}"]))


@pytest.mark.parametrize(("size", "length", "opposite"), [(1, 21, "G"), (2, 22, "C")])
def test_a_cpg_lies_alike_on_both_strands_where_a_site_is_both_of_its_bases(world, size, length, opposite):
    """Where it is the C alone, the G opposite is in the middle of the turned sequence."""
    sites = [f"bins.bin_size={size}", f"store=bases-{size}", f"model.encoder.input_length={length}"]
    _, model, windows = opened(world, *SEQUENCE, *sites)
    batch = windows.make_batch(range(len(windows)))
    turned = reverse_complement(batch, windows.reader.chunk, windows.store.targets)
    for codes, base in (batch.codes, "C"), (turned.codes, opposite):
        read = model.encoder.reader(model.one_hot(codes), model.halo)
        assert {*read[:, :, 0, (length - 1) // 2].argmax(dim=1).tolist()} == {"ACGT".index(base)}


def test_bins_that_are_no_covered_sites_have_no_such_part(world):
    place = world.parent / "place.bed"
    place.write_text("chr1\t0\t60000\n")
    changes = [
        "store=places",
        f"sites={{source: bed, bed: {place}}}",
        "bins.bin_size=50000",
        f"model.encoder={ENCODER}",
    ]
    config = load_config(world, [*changes, "model.neighbours=null", "genome.fasta=genome.fa"])
    assert prepare(config).covered is None


def test_without_a_fasta_all_is_unknown_sequence_and_no_site_is_lost(store):
    assert not (store.path / "codes.npy").exists()
    assert store.codes("chr2", 11_998, 12_003).tolist() == [4] * 5
    assert store.mask.all()
    assert list(store.sizes) == ["chr1", "chr2", "chr3"]


def test_without_a_fasta_chromosomes_are_chosen_among_the_sizes(world):
    changes = ["store=two", "genome.chroms=[chr2, chr1]", "splits={valid: [chr2], test: ['chr1:0-1000']}"]
    assert prepare(load_config(world, changes)).sizes == {"chr1": 60_000, "chr2": 12_000}
    with pytest.raises(InputError, match=r"genome\.chroms: .*chrom\.sizes has no 'chr4'"):
        prepare(load_config(world, ["store=none", "genome.chroms=[chr4]"]))


@pytest.fixture(scope="module")
def runs(world, tmp_path_factory):
    """A run of the CpG network, one of a sequence network, and one of both joined."""
    folder = tmp_path_factory.mktemp("runs")
    changes = {"cpg": [], "sequence": [*SEQUENCE, "model.neighbours=null"], "joint": JOINT}
    return {name: train(load_config(world, each), folder / name) for name, each in changes.items()}


def test_neighbours_tell_the_state_of_a_site_where_its_sequence_does_not(runs):
    auroc = {name: evaluate(run)["auroc"].mean() for name, run in runs.items()}
    assert auroc["cpg"] > 0.8
    assert auroc["joint"] > 0.8
    assert auroc["sequence"] < 0.6
    tables = {name: pd.read_csv(run / "baselines.tsv", sep="\t") for name, run in runs.items()}
    near = tables["cpg"][tables["cpg"]["predictor"] == "neighbour mean"]
    assert near["auroc"].mean() > 0.7
    assert "neighbour mean" not in set(tables["sequence"]["predictor"])


def test_the_mean_of_the_nearest_cpgs_stands_beside_a_model_that_reads_them(tmp_path):
    store = write_store(tmp_path)
    # Sites 0 to 4 of chromosome a as one region: states of the first cell are 0, 1, -, 1, 0.
    np.testing.assert_allclose(_near(store, np.arange(5))[0], [2 / 3, 1 / 3, 1 / 2, 1 / 3, 2 / 3])
    # Of the third cell only site 4 is covered: nothing stands beside it, and it stands beside all others.
    np.testing.assert_array_equal(_near(store, np.arange(5))[2], [0.5, 0.5, 0.5, 0.5, np.nan])


def test_a_cell_is_predicted_at_sites_that_only_others_cover(runs, tmp_path):
    import pyBigWig

    predict(runs["cpg"], tmp_path)
    with pyBigWig.open(str(tmp_path / "one.bw")) as file:
        written = file.intervals("chr3")
    experiment, _ = load_run(runs["cpg"])
    is_here = experiment.store.sites[:, 0] == 2
    assert [first for first, _, _ in written] == experiment.store.sites[is_here, 1].tolist()
    assert np.isnan(experiment.store.signals("methylation")[is_here, 0]).any()


def test_a_site_of_one_split_never_stands_beside_one_of_another(world):
    """Whatever is measured in the other splits, batches of a split are the same."""
    changes = ["splits={valid: ['chr1:20,000-30,000'], test: [chr3]}"]
    batches = {}
    for split in SPLITS:
        experiment, model, _ = opened(world, *changes)
        beyond = experiment.split_of_bin != SPLITS[split]
        covered = experiment.store.covered
        for state in (covered.state, np.where(_of_bins(experiment.store, beyond), np.nan, covered.state)):
            experiment.store.__dict__["covered"] = type(covered)(covered.span, covered.position, state)
            windows = experiment.dataset(split, model.halo)
            batches.setdefault(split, []).append(windows.make_batch(range(len(windows))).neighbours)
    for plain, without in batches.values():
        np.testing.assert_array_equal(plain["state"], without["state"])
        assert not np.isnan(plain["state"]).all()


def _of_bins(store, bins):
    """Whether each covered site is one of some bins: (covered,)."""
    found = np.zeros(len(store.covered.state), dtype=bool)
    for chrom, span in enumerate(store.bins.offsets[:-1]):
        for cell in range(3):
            part = slice(*store.covered.span[cell, chrom])
            sites = span + np.searchsorted(
                store.bins.start[store.bins.span(store.bins.chroms[chrom])], store.covered.position[part]
            )
            found[part] = bins[sites]
    return found


@pytest.mark.parametrize("changes", [[], JOINT], ids=["cpg", "joint"])
def test_every_parameter_gets_a_gradient(world, changes):
    _, model, windows = opened(world, *changes)
    model.loss(windows.make_batch(range(200)))[0].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        # A bias before a normalisation cancels in training.
        assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("changes", [[], JOINT], ids=["cpg", "joint"])
def test_a_batch_of_two_gives_what_two_batches_of_one_give(world, changes):
    _, model, windows = opened(world, *changes)
    model.eval()
    both = model.raw(windows.make_batch([3, 40]))["methylation"]
    alone = torch.cat([model.raw(windows.make_batch([number]))["methylation"] for number in (3, 40)])
    torch.testing.assert_close(both, alone)


def test_a_cell_that_does_not_cover_a_site_teaches_nothing_there(world):
    _, model, windows = opened(world)
    batch = windows.make_batch(range(50))
    raw = model.raw(batch)["methylation"].detach().requires_grad_()
    model.loss(batch, {"methylation": raw})[0].backward()
    is_missing = batch.target["methylation"].isnan()
    assert is_missing.any()
    assert (raw.grad[is_missing] == 0).all()
    assert (raw.grad[~is_missing] != 0).all()


def test_a_model_of_cpgs_alone_reads_no_sequence(world):
    _, model, windows = opened(world)
    batch = windows.make_batch([0, 1])
    assert len(batch.codes) == 0
    assert model.receptive_field == 0
    assert next(iter(model(batch).values())).shape == (2, 1, 3)


@pytest.mark.needs_shared_data
def test_real_cells_are_imputed_on_a_chromosome_that_did_not_train(world, shared_data, tmp_path):
    names = ("BS27_4_SER", "BS28_2_SER")
    rows = "".join(f"{name}\t{shared_data / 'deepcpg' / name}.bed.gz\tmethylation\n" for name in names)
    (tmp_path / "targets.tsv").write_text(f"identifier\tfile\tassay\n{rows}")
    (tmp_path / "mm10.sizes").write_text("chr18\t90702639\nchr19\t61431566\n")
    changes = [
        *(f"{key}={tmp_path / name}" for key, name in (("store", "store"), ("tracks.targets", "targets.tsv"))),
        f"genome.chrom_sizes={tmp_path / 'mm10.sizes'}",
        "splits={train: [chr18], valid: ['chr19:0-3,500,000'], test: ['chr19:4,000,000-61,431,566']}",
        "model.neighbours.count=10",
        "batch.size=128",
        "training.max_epochs=1",
    ]
    config = load_config(world, changes)
    assert np.diff(prepare(config).covered.span)[..., 0].tolist() == [[5000, 5000], [5000, 5000]]
    auroc = evaluate(train(config, tmp_path / "run"))["auroc"]
    assert auroc.min() > 0.84


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["sites=null", "bins.bin_size=8"], r"model\.neighbours: bins need to be CpGs that cells cover; set sites"),
        ([f"model.encoder={ENCODER}"], r"genome\.fasta: model\.encoder reads sequence; give the FASTA, or set"),
        (["evaluation.kmer_ridge=3"], r"genome\.fasta: evaluation\.kmer_ridge reads sequence; give the FASTA"),
        (["graph.candidates=genome.fa"], r"graph\.candidates: without an encoder nothing is read from sequence"),
        (["model.neighbours=null"], r"model: encoder: null reads no sequence; give neighbours"),
        (["model.both_strands=true"], r"model: both_strands: there is no encoder"),
        (["genome.chrom_sizes=null"], r"genome: fasta is not given\. A model that reads no sequence needs chrom_sizes"),
        (["model.neighbours.name=dcpg"], r"model\.neighbours: no 'dcpg' here\. Did you mean 'deepcpg'"),
        (["model.neighbours.counts=3"], r"'deepcpg' has no option 'counts'\. Did you mean 'count'"),
    ],
)
def test_what_does_not_fit_is_refused(world, changes, message):
    with pytest.raises(InputError, match=message):
        Experiment.open(load_config(world, changes))


def test_sequence_and_neighbours_are_trained_first_and_then_only_joined(world, tmp_path):
    """The three stages of DeepCpG; the penalty would move what is not frozen."""
    short = ["training.max_epochs=1", "training.l1=0.001"]
    dna = train(load_config(world, [*SEQUENCE, "model.neighbours=null", *short]), tmp_path / "dna")
    cpg = train(load_config(world, short), tmp_path / "cpg")
    stages = [f"training.start_from={{encoder: {dna}, neighbours: {cpg}}}", "training.freeze=[encoder, neighbours]"]
    joint = train(load_config(world, [*JOINT, *stages, *short]), tmp_path / "joint")
    of_dna, of_cpg, of_joint = (load_file(run / "model.safetensors") for run in (dna, cpg, joint))
    parts = {name.partition(".")[0] for name in of_joint}
    assert parts == {"encoder", "neighbours", "processor", "heads"}
    for name, weight in of_joint.items():
        before = of_dna if name.startswith("encoder") else of_cpg if name.startswith("neighbours") else None
        assert before is None or torch.equal(weight, before[name]), name
    assert np.isfinite(evaluate(joint)["auroc"]).all()


GRAPH = [
    "store=graph",
    "bins.node_size=400",
    "batch.window=8",
    "graph.edges=[{name: linear}, {name: loops, file: loops.bedpe}]",
    "model.processor=[{name: dense, width: 16}, {name: gat}]",
]


def test_nodes_of_cpgs_talk_over_linear_edges_and_contacts(world):
    (world.parent / "loops.bedpe").write_text("chr1\t400\t800\tchr1\t40000\t40400\n")
    experiment, model, windows = opened(world, *GRAPH)
    batch = windows.make_batch([0])
    loss, _ = model.loss(batch)
    loss.backward()
    parts = ("neighbours", "processor", "heads")
    assert all((each.grad != 0).any() for part in parts for each in getattr(model, part).parameters())
    model.eval()
    joined = model(batch)["methylation"]
    for edge_type in experiment.graph.edge_types:
        kept = batch.edge_attr[:, 2 + experiment.graph.edge_types.index(edge_type)] == 0
        assert not kept.all()
        without = replace(batch, edge_index=batch.edge_index[:, kept], edge_attr=batch.edge_attr[kept])
        assert not torch.equal(model(without)["methylation"], joined)
