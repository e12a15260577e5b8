"""Expression of genes becomes a track only where a gene was measured."""

from __future__ import annotations

import gzip
import logging
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph.assays.expression import gene_values, paint_genes, read_expression
from genograph.assays.signals import read_signal
from genograph.assays.targets import Target
from genograph.errors import InputError
from genograph.genome.bins import Bins
from genograph.genome.genes import Genes

NAN = math.nan
BINS = Bins({"a": 50, "b": 20}, 10)


def make_genes(*rows):
    """Genes from (id, chrom, start, end, strand), named by their id in capitals."""
    ids, chroms, starts, ends, strands = map(np.array, zip(*rows, strict=True))
    names = np.char.upper(ids)
    return Genes(
        id=ids, name=names, chrom=chroms, start=starts, end=ends, strand=strands, biotype=np.array([""] * len(ids))
    )


GENES = make_genes(("g1", "a", 5, 25, "+"), ("g2", "a", 18, 30, "-"), ("g3", "b", 0, 10, "+"))


def test_a_bin_takes_the_mean_of_its_genes_weighted_by_shared_bases():
    values = paint_genes(np.array([1.0, 7.0, 4.0]), GENES, BINS)
    # Bin 1 (10-20) shares 10 bases with g1 and 2 with g2, bin 2 (20-30) 5 and 10.
    np.testing.assert_allclose(values, [1, (10 * 1 + 2 * 7) / 12, (5 * 1 + 10 * 7) / 15, NAN, NAN, 4, NAN])


def test_a_strand_takes_only_its_own_genes():
    painted = np.array([1.0, 7.0, 4.0])
    np.testing.assert_array_equal(paint_genes(painted, GENES, BINS, strand="+"), [1, 1, 1, NAN, NAN, 4, NAN])
    np.testing.assert_array_equal(paint_genes(painted, GENES, BINS, strand="-"), [NAN, 7, 7, NAN, NAN, NAN, NAN])


def test_tss_takes_the_sum_of_the_genes_that_start_in_a_bin():
    genes = make_genes(("g1", "a", 5, 25, "+"), ("g2", "a", 1, 8, "-"), ("g3", "a", 11, 30, "-"))
    np.testing.assert_array_equal(
        paint_genes(np.array([1.0, 2.0, 4.0]), genes, BINS, paint="tss"), [3, NAN, 4, NAN, NAN, NAN, NAN]
    )


@pytest.mark.parametrize("paint", ["gene", "tss"])
def test_a_gene_without_a_measurement_paints_nothing_and_a_zero_paints_zero(paint):
    genes = make_genes(("g1", "a", 0, 10, "+"), ("g2", "a", 10, 20, "+"), ("g3", "a", 0, 10, "+"))
    values = paint_genes(np.array([0.0, NAN, NAN]), genes, BINS, paint=paint)
    np.testing.assert_array_equal(values, [0, NAN, NAN, NAN, NAN, NAN, NAN])


@pytest.mark.parametrize("paint", ["gene", "tss"])
def test_a_gene_in_the_dropped_remainder_paints_no_other_chromosome(paint):
    bins = Bins({"a": 25, "b": 20}, 10)
    genes = make_genes(("g1", "a", 21, 25, "+"), ("g2", "b", 0, 5, "+"))
    np.testing.assert_array_equal(paint_genes(np.array([9.0, 1.0]), genes, bins, paint=paint), [NAN, NAN, 1, NAN])


def test_an_unknown_way_to_paint_is_an_error():
    with pytest.raises(InputError, match=r"paint genes 'tts'. Did you mean 'tss'"):
        paint_genes(np.ones(3), GENES, BINS, paint="tts")


@given(st.lists(st.tuples(st.integers(0, 49), st.integers(1, 50), st.integers(0, 9)), min_size=1, max_size=6))
def test_painting_equals_the_mean_over_bases_and_genes(spans):
    genes = make_genes(
        *((f"g{i}", "a", start, min(start + length, 50), "+") for i, (start, length, _) in enumerate(spans))
    )
    painted = paint_genes(np.array([value for *_, value in spans], dtype=float), genes, BINS)
    for tile in range(5):
        bases = [
            value
            for base in range(tile * 10, tile * 10 + 10)
            for start, end, (*_, value) in zip(genes.start, genes.end, spans, strict=True)
            if start <= base < end
        ]
        assert painted[tile] == pytest.approx(np.mean(bases) if bases else NAN, nan_ok=True)


def write(tmp_path, text, name="table.csv"):
    (tmp_path / name).write_text(text, errors="surrogateescape")
    return tmp_path / name


def test_genes_match_by_id_then_by_name_and_are_nan_elsewhere(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="genograph")
    path = write(tmp_path, "gene,s1,s2\ng1,1,5\nG1,9,9\nG2,2,6\nother,3,7\n")
    np.testing.assert_array_equal(gene_values(path, GENES, "s2"), [5, 6, NAN])
    assert not caplog.messages


def test_a_table_with_less_than_half_of_the_genes_is_warned_of(tmp_path, caplog):
    gene_values(write(tmp_path, "gene,s\ng1,1\n"), GENES, "s")
    assert caplog.messages == ["table.csv, s: only 1 of 3 genes are in the table"]


def test_an_empty_cell_is_not_measured(tmp_path):
    path = write(tmp_path, "gene\ts1\ng1\t\ng2\tNA\ng3\t0\n", "table.tsv")
    np.testing.assert_array_equal(gene_values(path, GENES, "s1"), [NAN, NAN, 0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gene,s1\nx,1\n", r"none of its genes is known. The table has x; .* has g1, g2, g3 \(names G1"),
        ("gene,s2\ng1,1\n", "has no column 's1'. Known: s2"),
        ("gene,s1\ng1,1\ng1,2\n", "gene 'g1' comes twice"),
        ("gene,s1\ng1,many\n", "'g1' has 'many' in column 's1', not a number"),
        ("gene,s1\ng1,inf\n", "'g1' has 'inf' in column 's1', not a number"),
        ("gene,s1,s1\ng1,1,2\n", "has 2 columns 's1'"),
        ("#gene\n", "has no column 's1'"),
        ("gene,s1\n'g1,1\n\"g2,1\n", "cannot be read as a table"),
        ("PK\x03\udcff\n", "is not text"),
        ("", "is empty"),
    ],
)
def test_a_wrong_table_is_an_error_that_says_why(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        gene_values(write(tmp_path, text), GENES, "s1")


REAL_TABLES = {
    "counts.txt": (  # featureCounts
        '# Program:featureCounts v2.0.3; Command:"featureCounts" "-a" "x.gtf"\n'
        "Geneid\tChr\tStart\tEnd\tStrand\tLength\tbams/s1.bam\ts1\n"
        "g1\ta;a\t6;9\t7;25\t+;+\t20\t7\t3\ng3\tb\t1\t10\t+\t10\t8\t0\n"
    ),
    "quant.sf": "Name\tLength\tEffectiveLength\ts1\tNumReads\ng1\t20\t9.5\t3\t7\ng3\t10\t2\t0\t0\n",  # Salmon
    "s.genes.results": (  # RSEM
        "gene_id\ttranscript_id(s)\tlength\ts1\tFPKM\ng1\tt1,t2\t20.00\t3.00\t1\ng3\tt3\t10.00\t0.00\t1\n"
    ),
    "tpm.gct": "#1.2\n2\t2\nName\tDescription\ts0\ts1\ng1\tthe \"5' end\t1\t3\ng3\tx\t1\t0\n",  # GTEx
    "r.tsv": '"s0"\t"s1"\n"g1"\t9\t3\n"g3"\t9\t0\n',  # write.table of R, whose header is one name short
    "tabs.tsv": "gene\ts1\ng1\t3\t\ng3\t0\t\n",  # one tab too many
    "excel.csv": '\ufeffgene,description,s1\r\ng1,"a, b",3\r\n g3 ,"c\td", 0\r\n',
    "zipped.tsv.gz": "gene\ts1\ng1\t3\ng3\t0\n",
}


@pytest.mark.parametrize("name", REAL_TABLES)
def test_tables_are_read_as_programs_write_them(tmp_path, name):
    text = REAL_TABLES[name].encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    np.testing.assert_array_equal(gene_values(tmp_path / name, GENES, "s1"), [3, NAN, 0])
    track, _ = read_signal(
        Target(identifier="s1", file=tmp_path / name, assay="expression"), BINS, aliases={}, genes=GENES
    )
    np.testing.assert_array_equal(track, [3, 3, 3, NAN, NAN, 0, NAN])


def test_a_column_may_be_called_by_a_path(tmp_path):
    path = write(tmp_path, REAL_TABLES["counts.txt"], "counts.txt")
    np.testing.assert_array_equal(gene_values(path, GENES, "bams/s1.bam"), [7, NAN, 8])


@pytest.mark.parametrize("of_table", ["ENSG00000000001", "ENSG00000000001.4", "ENSG00000000001.12"])
@pytest.mark.parametrize("of_genes", ["ENSG00000000001", "ENSG00000000001.4"])
def test_ensembl_ids_match_whatever_their_version(tmp_path, of_table, of_genes):
    genes = make_genes((of_genes, "a", 0, 5, "+"), ("ENSG00000000002", "a", 0, 5, "+"))
    np.testing.assert_array_equal(gene_values(write(tmp_path, f"id,s\n{of_table},5\n"), genes, "s"), [5, NAN])


def test_ids_of_others_have_no_version(tmp_path):
    genes = make_genes(("y110a7a.1", "a", 0, 5, "+"), ("y110a7a.10", "a", 0, 5, "+"))
    np.testing.assert_array_equal(gene_values(write(tmp_path, "id,s\ny110a7a.10,5\n"), genes, "s"), [NAN, 5])


def test_a_gene_in_two_versions_is_an_error_and_the_pseudoautosomal_copy_another_gene(tmp_path):
    genes = make_genes(("ENSG00000000001.4", "a", 0, 5, "+"), ("ENSG00000000001.4_PAR_Y", "b", 0, 5, "+"))
    path = write(tmp_path, "id,s\nENSG00000000001.4,5\nENSG00000000001.4_PAR_Y,6\n")
    np.testing.assert_array_equal(gene_values(path, genes, "s"), [5, 6])
    path = write(tmp_path, "id,s\nENSG00000000001.5,5\nENSG00000000001.6,6\n")
    with pytest.raises(InputError, match=r"ENSG00000000001' comes twice, as ENSG00000000001\.5 and ENSG00000000001\.6"):
        gene_values(path, genes, "s")


@given(
    st.lists(
        st.tuples(st.from_regex(r"[A-Za-z][\w.\-]{0,8}", fullmatch=True), st.none() | st.floats(0, 1e6)),
        unique_by=lambda row: row[0],
        min_size=1,
        max_size=8,
    ),
    st.sampled_from([",", "\t"]),
)
def test_a_table_is_read_back_as_it_was_written(tmp_path_factory, rows, separator):
    lines = [separator.join(["gene", "note", "s"])]
    lines += [separator.join([gene, "x", "" if value is None else repr(value)]) for gene, value in rows]
    path = write(tmp_path_factory.mktemp("table"), "\n".join(lines) + "\n", "t.txt")
    assert read_expression(path, "s") == pytest.approx(
        {gene: NAN if value is None else value for gene, value in rows}, nan_ok=True
    )


def test_a_track_takes_the_column_scale_and_root_of_its_target(tmp_path):
    path = write(tmp_path, "gene,s1,s2\ng1,1,3\ng3,1,15\n")
    named = Target(identifier="s1", file=path, strand="+", assay="expression")
    assert read_signal(named, BINS, aliases={}, genes=GENES)[0][0] == 1
    other = Target(
        identifier="x", file=path, column="s2", strand="+", sum_stat="mean_sqrt", scale=5, clip=5, assay="expression"
    )
    values, report = read_signal(other, BINS, aliases={}, genes=GENES)
    np.testing.assert_array_equal(values, [3, 3, 3, NAN, NAN, 5, NAN])
    assert (report.clipped, report.missing) == (1, 3)


def test_a_table_without_genes_is_an_error(tmp_path):
    target = Target(identifier="s1", file=write(tmp_path, "gene,s1\ng1,1\n"), assay="expression")
    with pytest.raises(InputError, match="needs the genome's genes"):
        read_signal(target, BINS, aliases={})


@pytest.mark.needs_shared_data
def test_every_yeast_gene_is_in_the_yeast_table(shared_data):
    from genograph.genome.assembly import read_fasta
    from genograph.genome.genes import read_genes

    yeast = shared_data / "yeast"
    sizes = {name: len(codes) for name, codes in read_fasta(yeast / "S288C_R64-2-1.fsa.gz")}
    genes = read_genes(yeast / "Saccharomyces_cerevisiae.R64-1-1.99.gff3.gz", sizes)
    values = gene_values(yeast / "derived_yeast_RNAseq_counts.csv", genes, "S288C_WT_RNAseq_1")
    assert values[genes.id == "YDL248W"].tolist() == [260]
    assert (len(values), np.isnan(values).sum()) == (7127, 0)
