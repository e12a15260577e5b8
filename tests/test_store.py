from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest

import genograph.prepare.tracks
from genograph.assays.targets import strand_permutation
from genograph.config import load_config, parse_config
from genograph.errors import InputError
from genograph.genome.assembly import CODES
from genograph.prepare import prepare
from genograph.store import Store
from tests.tiny import BIN, NODE, SIZES, config_tree, write_bigwig, write_cool, write_world

COUNTS = {chrom: size // BIN for chrom, size in SIZES.items()}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A tiny world with its store, to be looked at only."""
    folder = tmp_path_factory.mktemp("source")
    prepare(load_config(write_world(folder)))
    return folder


@pytest.fixture
def world(source, tmp_path):
    """A tiny world with its store, to be changed at will; the path of its config."""
    shutil.copytree(source, tmp_path, dirs_exist_ok=True)
    return tmp_path / "tiny.yaml"


@pytest.fixture
def store(source):
    return Store.open(source / "store")


def small(folder, sequences, *, bin_size=8, **genome):
    """The config of a genome written out by hand, with a track of ones over it."""
    (folder / "genome.fa").write_text("".join(f">{name}\n{sequence}\n" for name, sequence in sequences.items()))
    write_bigwig(folder / "ones.bw", {name: np.ones(len(sequence)) for name, sequence in sequences.items()})
    (folder / "targets.tsv").write_text("identifier\tfile\nones\tones.bw\n")
    tree = config_tree() | {"bins": {"bin_size": bin_size}, "genome": {"fasta": "genome.fa", **genome}}
    tree |= {"tracks": {"targets": "targets.tsv"}, "graph": {}, "contacts": None}
    return parse_config(tree, folder)


def fasta(folder):
    """The codes of each chromosome, read without the package's reader."""
    lines = (folder / "genome.fa").read_text().split()
    codes = [CODES[np.frombuffer(line.encode(), np.uint8)] for line in lines[1::2]]
    return dict(zip([name[1:] for name in lines[::2]], codes, strict=True))


def bin_means(values):
    """(bins,) means of the whole bins of each chromosome's values per base."""
    return np.concatenate([each[: COUNTS[name] * BIN].reshape(-1, BIN).mean(axis=1) for name, each in values.items()])


def test_codes_are_those_of_the_fasta_file(store, source):
    for chrom, codes in fasta(source).items():
        np.testing.assert_array_equal(store.codes(chrom, 0, SIZES[chrom]), codes)
        np.testing.assert_array_equal(store.codes(chrom, 130, 131), codes[130:131])


def test_beyond_a_linear_chromosome_is_n(store, source):
    codes = fasta(source)["chrB"]
    assert store.codes("chrB", -3, 2).tolist() == [4, 4, 4, *codes[:2]]
    assert store.codes("chrB", SIZES["chrB"] - 2, SIZES["chrB"] + 3).tolist() == [*codes[-2:], 4, 4, 4]
    assert store.codes("chrB", SIZES["chrB"] + 5, SIZES["chrB"] + 7).tolist() == [4, 4]


def test_a_circular_chromosome_goes_on_at_its_other_end(tmp_path):
    store = prepare(small(tmp_path, {"line": "A" * 20, "ring": "ACGTACGTCC"}, circular=["ring"]))
    assert store.codes("ring", -3, 2).tolist() == [3, 1, 1, 0, 1]
    assert store.codes("ring", 8, 13).tolist() == [1, 1, 0, 1, 2]
    assert store.codes("line", -2, 1).tolist() == [4, 4, 0]
    assert store.bins.circular == store.nodes.circular == {"ring"}


def test_signals_are_the_means_of_the_written_bases(store, source):
    codes = fasta(source)
    gc, fwd, rev = (
        bin_means({chrom: np.isin(each, bases) * 8.0 for chrom, each in codes.items()}) for bases in ([1, 2], [1], [2])
    )
    np.testing.assert_array_equal(store.signals("coverage"), gc[:, None].astype(np.float32))
    np.testing.assert_array_equal(store.signals("expression"), np.stack([fwd, rev], axis=1).astype(np.float32))
    assert store.signals("coverage").dtype == np.float32


def test_methylation_and_its_coverage_are_sums_over_a_bins_reads(store, source):
    methylated, reads = np.zeros(len(store.bins)), np.zeros(len(store.bins))
    offsets = dict(zip(SIZES, np.cumsum([0, *COUNTS.values()]), strict=False))
    for line in (source / "cells.cov").read_text().splitlines():
        chrom, start, _, _, yes, no = line.split("\t")
        place = offsets[chrom] + (int(start) - 1) // BIN
        methylated[place] += int(yes)
        reads[place] += int(yes) + int(no)
    with np.errstate(invalid="ignore"):
        fraction = (methylated / reads).astype(np.float32)
    np.testing.assert_array_equal(store.coverage("methylation")[:, 0], reads)
    np.testing.assert_array_equal(store.signals("methylation")[:, 0], fraction)
    second_half_of_a = slice(COUNTS["chrA"] // 2 + 1, COUNTS["chrA"])
    assert np.isnan(store.signals("methylation")[second_half_of_a]).all()
    assert not store.coverage("methylation")[second_half_of_a].any()


def test_only_a_ratio_has_coverage(store):
    assert store.coverage("coverage") is None
    assert store.coverage("expression") is None


def test_the_remainder_of_a_chromosome_has_no_bin_but_its_sequence_is_kept(store):
    assert np.diff(store.bins.offsets).tolist() == [312, 187, 125]
    assert np.diff(store.nodes.offsets).tolist() == [20, 12, 9]
    assert len(store.codes("chrC", 125 * BIN, SIZES["chrC"])) == 100
    assert store.signals("coverage").shape == (624, 1)


def test_the_bins_of_a_node_that_the_map_masks_leave_loss_and_metrics(store):
    midpoints = np.arange(COUNTS["chrA"]) * BIN + BIN // 2
    masked = np.flatnonzero((midpoints >= NODE) & (midpoints < 2 * NODE))
    assert np.flatnonzero(~store.mask).tolist() == masked.tolist()
    assert np.flatnonzero(store.contacts.masked).tolist() == [1]


def test_the_maps_mask_can_be_left_out(world):
    assert prepare(load_config(world, ["contacts.mask=false"])).mask.all()


def test_blacklisted_bins_leave_loss_and_metrics(world):
    (world.parent / "black.bed").write_text("chrB\t255\t257\nchrC\t15990\t16100\n")
    config = load_config(world, ["genome.blacklist=black.bed", "contacts=null", "graph.edges=[]"])
    assert np.flatnonzero(~prepare(config).mask).tolist() == [312 + 1, 312 + 2, 312 + 187 + 124]


def test_a_bin_of_which_more_than_half_is_unsequenced_leaves_loss_and_metrics(tmp_path):
    sequences = {"one": "ACGTACGT" + "NNNNACGT" + "NNNNNACG" + "ACG", "two": "NNNNNNNN" + "RYSWACGT"}
    assert prepare(small(tmp_path, sequences)).mask.tolist() == [True, True, False, False, True]


def test_a_bin_in_which_nothing_is_measured_leaves_loss_and_metrics(tmp_path):
    config = small(tmp_path, {"one": "ACGT" * 4, "two": "ACGT" * 4})
    write_bigwig(tmp_path / "ones.bw", {"one": np.ones(16)})
    store = prepare(config)
    np.testing.assert_array_equal(store.signals("coverage")[:, 0], [1, 1, np.nan, np.nan])
    assert store.mask.tolist() == [True, True, False, False]


def test_one_measured_track_is_enough_and_the_others_stay_nan(tmp_path):
    config = small(tmp_path, {"one": "ACGT" * 4, "two": "ACGT" * 4})
    write_bigwig(tmp_path / "half.bw", {"two": np.full(16, 3.0)})
    (tmp_path / "targets.tsv").write_text("identifier\tfile\nones\tones.bw\nhalf\thalf.bw\n")
    store = prepare(config)
    np.testing.assert_array_equal(store.signals("coverage"), [[1, np.nan], [1, np.nan], [1, 3], [1, 3]])
    assert store.mask.all()


def test_a_store_with_some_of_its_tracks_has_their_values_and_what_they_measure(tmp_path):
    config = small(tmp_path, {"one": "ACGT" * 4, "two": "ACGT" * 4})
    write_bigwig(tmp_path / "half.bw", {"two": np.full(16, 3.0)})
    (tmp_path / "targets.tsv").write_text("identifier\tfile\nones\tones.bw\nhalf\thalf.bw\n")
    store = prepare(config).with_tracks(["half"])
    assert [target.identifier for target in store.targets["coverage"]] == ["half"]
    np.testing.assert_array_equal(store.signals("coverage"), [[np.nan], [np.nan], [3], [3]])
    assert store.mask.tolist() == [False, False, True, True]


def test_tracks_that_are_used_keep_the_order_of_the_store_and_others_leave_with_their_assay(store):
    some = store.with_tracks(["rev", "meth", "fwd"])
    assert {assay: [each.identifier for each in rows] for assay, rows in some.targets.items()} == {
        "expression": ["fwd", "rev"],
        "methylation": ["meth"],
    }
    np.testing.assert_array_equal(some.signals("expression"), store.signals("expression"))
    np.testing.assert_array_equal(some.coverage("methylation"), store.coverage("methylation"))


@pytest.mark.parametrize(
    ("names", "message"),
    [(["fwt", "rev"], r"no track 'fwt'\. Did you mean 'fwd'"), (["fwd"], "'fwd' needs its other strand, 'rev'")],
)
def test_tracks_that_are_not_there_or_lack_their_strand_cannot_be_used(store, names, message):
    with pytest.raises(InputError, match=message):
        store.with_tracks(names)


def test_tracks_turned_from_columns_to_rows_in_small_blocks_are_the_same(source, world, monkeypatch):
    monkeypatch.setattr(genograph.prepare.tracks, "_BLOCK", 40)
    (world.parent / "store").rename(world.parent / "before")
    now = prepare(load_config(world))
    for file in ("signals/coverage", "signals/expression", "signals/methylation", "coverage/methylation"):
        array = np.load(now.path / f"{file}.npy")
        np.testing.assert_array_equal(array, np.load(source / "store" / f"{file}.npy"))
        assert array.flags.c_contiguous
    assert sorted(path.name for path in (now.path / "signals").iterdir()) == [
        "coverage.npy",
        "expression.npy",
        "methylation.npy",
    ]


@pytest.fixture
def warnings(caplog):
    """What was logged as a warning, one string each."""
    return lambda: [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


def test_tracks_that_lack_a_chromosome_are_named_in_one_warning(world, warnings):
    for name in ("gc", "fwd"):
        write_bigwig(world.parent / f"{name}.bw", {"chrA": np.ones(SIZES["chrA"])})
    prepare(load_config(world))
    assert warnings() == ["No value of gc, fwd on chrB, chrC: missing there."]


def test_a_contact_map_that_lacks_a_chromosome_is_a_warning_where_it_masks(world, warnings):
    sizes = {"chrA": SIZES["chrA"], "chrB": SIZES["chrB"]}
    write_cool(world.parent / "map.cool", np.random.default_rng(0), sizes=sizes)
    store = prepare(load_config(world))
    assert not store.mask[store.bins.span("chrC")].any()
    assert warnings() == [
        "contacts.file: the map sees nothing of chrC, which leaves loss and metrics; contacts.mask=false keeps it."
    ]
    prepare(load_config(world, ["contacts.mask=false"]))
    assert len(warnings()) == 1


def test_a_fasta_file_without_its_last_chromosomes_is_told_by_the_rows_of_the_other_files(tmp_path, warnings):
    def build(**genome):
        config = small(tmp_path, {"one": "ACGT" * 4, "two": "ACGT" * 4}, blacklist="black.bed", **genome)
        (tmp_path / "black.bed").write_text("one\t0\t1\nthree\t0\t8\n")
        (tmp_path / "ones.bedGraph").write_text("one\t0\t16\t1\ntwo\t0\t16\t1\nthree\t0\t16\t1\n")
        (tmp_path / "meth.cov").write_text("one\t2\t2\t0\t0\t1\ntwo\t2\t2\t0\t0\t1\nthree\t2\t2\t0\t0\t1\n")
        (tmp_path / "genes.bed").write_text("one\t0\t8\ta\t0\t+\nthree\t0\t8\tb\t0\t+\n")
        table = "identifier\tfile\tassay\nones\tones.bedGraph\tcoverage\nmeth\tmeth.cov\tmethylation\n"
        (tmp_path / "targets.tsv").write_text(table)
        tracks = config.tracks.model_copy(update={"genes": tmp_path / "genes.bed"})
        prepare(config.model_copy(update={"tracks": tracks}))

    build()
    assert [each.split(": the genome does not have 1 of the ")[0].split("/")[-1] for each in warnings()] == [
        "black.bed",
        "genes.bed",
        "ones.bedGraph",
        "meth.cov",
    ]
    build(chroms=["one", "two"])
    assert len(warnings()) == 4


def test_one_table_may_mix_file_formats_and_assays(world):
    folder = world.parent
    (folder / "cells.csv").write_text("gene,rich,starved\ngA1000,5,7\ngB2000,2.5,\n")
    (folder / "peaks.bedGraph").write_text("chrB\t0\t256\t4\n")
    with (folder / "targets.tsv").open("a") as table:
        table.write("4\trich\tcells.csv::rich\t\t\texpression\t.\t\n")
        table.write("5\tpeaks\tpeaks.bedGraph\tmax\t\taccessibility\t.\t\n")
    config = load_config(world, ["model.heads.accessibility={}"])
    store = prepare(config)
    assert [len(store.targets[assay]) for assay in store.targets] == [1, 3, 1, 1]
    rich = store.signals("expression")[:, 2]
    touched = {"chrA": range(1000 // BIN, -(-1900 // BIN)), "chrB": range(2000 // BIN, -(-2900 // BIN))}
    expected = np.full(624, np.nan)
    expected[list(touched["chrA"])] = 5
    expected[[312 + each for each in touched["chrB"]]] = 2.5
    np.testing.assert_array_equal(rich, expected)
    peaks = store.signals("accessibility")[:, 0]
    assert peaks[312:315].tolist() == [4, 4, 0]
    assert np.isnan(peaks[:312]).all()


def test_targets_come_back_as_they_were_read_and_strand_partners_find_each_other_in_their_assay(store, source):
    forward, reverse = store.targets["expression"]
    assert (forward.identifier, forward.strand, forward.file) == ("fwd", "+", source / "fwd.bw")
    assert strand_permutation([forward, reverse]) == [1, 0]
    assert strand_permutation(store.targets["coverage"]) == [0]


def test_genes_come_back_as_they_were_read(store):
    assert len(store.genes) == 38 + 22 + 15
    first = store.genes.to_frame().iloc[0]
    assert [*first[["name", "chrom", "start", "end", "strand"]]] == ["gA1000", "chrA", 1000, 1900, "+"]


def test_what_a_config_leaves_out_is_none(tmp_path):
    store = prepare(small(tmp_path, {"one": "ACGT" * 4}))
    assert store.genes is None
    assert store.contacts is None


def test_chromosomes_can_be_chosen_and_keep_the_order_of_the_genome(world):
    store = prepare(load_config(world, ["genome.chroms=[chrC, chrA]"]))
    codes = fasta(world.parent)
    assert [*store.sizes] == ["chrA", "chrC"]
    np.testing.assert_array_equal(store.codes("chrC", 0, 16_100), codes["chrC"])
    assert np.diff(store.bins.offsets).tolist() == [312, 125]
    assert np.diff(store.nodes.offsets).tolist() == [20, 9]
    both = bin_means({chrom: np.isin(codes[chrom], [1, 2]) * 8.0 for chrom in ("chrA", "chrC")})
    np.testing.assert_array_equal(store.signals("coverage")[:, 0], both.astype(np.float32))


@pytest.mark.parametrize("key", ["chroms", "circular"])
def test_a_chromosome_that_the_genome_has_not_is_an_error_with_the_nearest_name(world, key):
    with pytest.raises(InputError, match=r"no chromosome 'chr_A'.*chrA"):
        prepare(load_config(world, [f"genome.{key}=[chr_A]"]))


def test_a_circular_chromosome_that_is_not_chosen_does_not_matter(world):
    store = prepare(load_config(world, ["genome.circular=[chrB, chrC]", "genome.chroms=[chrA, chrC]"]))
    assert store.bins.circular == {"chrC"}


def test_no_chromosome_at_all_is_an_error(world):
    with pytest.raises(InputError, match=r"genome\.chroms: .*at least 1"):
        load_config(world, ["genome.chroms=[]"])


@pytest.mark.parametrize("chroms", ["null", "[chrB]"])
@pytest.mark.parametrize("name", ["chrB", "B"])
def test_sizes_of_another_assembly_are_an_error_however_names_are_spelled(world, chroms, name):
    (world.parent / "sizes").write_text(f"{name}\t24001\n")
    with pytest.raises(InputError, match=f"sizes: wrong assembly. {name} has 24,001 bp in this file"):
        prepare(load_config(world, ["genome.chrom_sizes=sizes", f"genome.chroms={chroms}"]))


def test_sizes_that_name_no_chosen_chromosome_are_an_error(world):
    (world.parent / "sizes").write_text("chrA\t40000\n")
    with pytest.raises(InputError, match="no chromosome of the genome is in this file"):
        prepare(load_config(world, ["genome.chrom_sizes=sizes", "genome.chroms=[chrB]"]))


def test_sizes_under_other_names_fit(world):
    (world.parent / "sizes").write_text("A\t40000\nB\t24000\nplasmid\t16100\n")
    (world.parent / "aliases").write_text("plasmid\tchrC\n")
    assert prepare(load_config(world, ["genome.chrom_sizes=sizes", "genome.aliases=aliases"])).sizes == SIZES
    (world.parent / "sizes").write_text("A\t40000\nB\t24000\nplasmid\t16101\n")
    with pytest.raises(InputError, match="plasmid has 16,101 bp"):
        prepare(load_config(world, ["genome.chrom_sizes=sizes", "genome.aliases=aliases"]))


def test_no_store_is_an_error_that_says_how_to_build_it(tmp_path):
    with pytest.raises(InputError, match=r"no store at .*nowhere\. Build it: genograph prepare"):
        Store.open(tmp_path / "nowhere")
