"""Genes read alike from every format, with the TSS at the first transcribed base."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph.errors import InputError
from genograph.genome.assembly import read_fasta
from genograph.genome.bins import Bins
from genograph.genome.genes import Genes, gene_bins, read_genes
from genograph.genome.interval import Interval
from genograph.genome.names import match_names

SIZES = {"chr1": 1000, "chr2": 500}
GFF = (
    "##gff-version 3\n"
    'chr1\tx\tgene\t11\t20\t.\t+\t.\tID=gene:b1;Name=abc%2C1;biotype=protein_coding;description=the "5" end\n'
    "chr1\tx\tmRNA\t11\t20\t.\t+\t.\tID=m1;Parent=gene:b1\n"
    "chr2\tx\tpseudogene\t31\t40\t.\t-\t.\tID=gene-b2;locus_tag=b2\n"
    "##FASTA\n>chr1\nACGT\n"
)
GTF = (
    "#!genome-build x\n"
    'chr1\tx\tgene\t11\t20\t.\t+\t.\tgene_id "b1"; gene_name "abc,1"; gene_biotype "protein_coding";\n'
    'chr1\tx\texon\t11\t20\t.\t+\t.\tgene_id "b1";\n'
    'chr2\tx\tgene\t31\t40\t.\t-\t.\tgene_id "b2"; level 2;\n'
)
BED = "chr1\t10\t20\tb1\t0\t+\nchr2\t30\t40\tb2\t0\t-\n"
TSV = (
    "name\tchrom\tstart\tend\tstrand\tid\tbiotype\n"
    "abc,1\tchr1\t10\t20\t+\tb1\tprotein_coding\n"
    "b2\tchr2\t30\t40\t-\t\t\n"
)
CSV = 'name,chrom,start,end,strand\n"abc,1",chr1,10,20,+\nb2,chr2,30,40,-\n'


@pytest.mark.parametrize(
    ("name", "text"),
    [("g.gff3", GFF), ("g.gff", GFF), ("g.gtf", GTF), ("g.bed", BED), ("g.tsv", TSV), ("g.csv", CSV)],
)
def test_every_format_gives_the_same_places(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode()))
    for path in (tmp_path / name, tmp_path / f"{name}.gz"):
        genes = read_genes(path, SIZES)
        assert genes.chrom.tolist() == ["chr1", "chr2"]
        assert (genes.start.tolist(), genes.end.tolist()) == ([10, 30], [20, 40])
        assert genes.strand.tolist() == ["+", "-"]
        assert genes.tss.tolist() == [10, 39]


@pytest.mark.parametrize(("name", "text"), [("g.gff3", GFF), ("g.gtf", GTF), ("g.tsv", TSV)])
def test_ids_names_and_biotypes_are_read_where_the_file_has_them(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    genes = read_genes(tmp_path / name, SIZES)
    assert genes.id.tolist() == ["b1", "b2"]
    assert genes.name.tolist() == ["abc,1", "b2"]
    assert genes.biotype.tolist() == ["protein_coding", ""]


ANNOTATIONS = {
    "ensembl.gtf": (
        'chr1\thavana\tgene\t101\t300\t.\t-\t.\tgene_id "ENSG00000000001"; gene_version "5"; gene_name "AB1"; '
        'gene_source "havana"; gene_biotype "lncRNA";\n'
        'chr1\thavana\ttranscript\t101\t300\t.\t-\t.\tgene_id "ENSG00000000001"; transcript_id "ENST1";\n'
    ),
    "gencode.gtf": (
        'chr1\tHAVANA\tgene\t101\t300\t.\t-\t.\tgene_id "ENSG00000000001"; gene_type "lncRNA"; gene_name "AB1"; '
        'level 2; tag "overlaps";\n'
    ),
    "gencode.gff3": (
        "chr1\tHAVANA\tgene\t101\t300\t.\t-\t.\tID=ENSG00000000001;gene_id=ENSG00000000001;gene_type=lncRNA;"
        "gene_name=AB1;level=2\n"
        "chr1\tHAVANA\ttranscript\t101\t300\t.\t-\t.\tID=ENST1;Parent=ENSG00000000001;gene_id=ENSG00000000001\n"
    ),
    "ensembl.gff3": (
        "chr1\tGRCh38\tchromosome\t1\t1000\t.\t.\t.\tID=chromosome:1\n"
        "chr1\thavana\tncRNA_gene\t101\t300\t.\t-\t.\tID=gene:ENSG00000000001;Name=AB1;biotype=lncRNA;"
        "gene_id=ENSG00000000001;version=5\n"
    ),
    "ucsc.gtf": (  # no row of the gene itself
        'chr1\tr\ttranscript\t151\t300\t.\t-\t.\tgene_id "ENSG00000000001"; transcript_id "t1";  gene_name "AB1";'
        ' gene_type "lncRNA";\n'
        'chr1\tr\texon\t151\t160\t.\t-\t.\tgene_id "ENSG00000000001"; transcript_id "t1";\n'
        'chr1\tr\texon\t101\t120\t.\t-\t.\tgene_id "ENSG00000000001"; transcript_id "t2";\n'
    ),
}


@pytest.mark.parametrize("name", ANNOTATIONS)
def test_annotations_of_the_field_give_the_gene_its_id_name_biotype_and_tss(tmp_path, name):
    (tmp_path / name).write_text(ANNOTATIONS[name])
    genes = read_genes(tmp_path / name, SIZES)
    assert genes.to_frame().to_numpy().tolist() == [["ENSG00000000001", "AB1", "chr1", 100, 300, "-", "lncRNA"]]
    assert genes.tss.tolist() == [299]


NCBI = {
    "refseq.gff3": (
        "chr1\tRefSeq\tregion\t1\t1000\t.\t+\t.\tID=chr1:1..1000;Dbxref=taxon:511145;gbkey=Src\n"
        "chr1\tRefSeq\tgene\t190\t255\t.\t+\t.\tID=gene-b0001;Dbxref=ASAP:ABE-6;Name=thrL;gbkey=Gene;gene=thrL;"
        "gene_biotype=protein_coding;locus_tag=b0001\n"
        "chr1\tRefSeq\tCDS\t190\t255\t.\t+\t0\tID=cds-x;Parent=gene-b0001;gene=thrL;locus_tag=b0001\n"
        "chr1\tBestRefSeq\tpseudogene\t300\t400\t.\t-\t.\tID=gene-XY1P;Name=XY1P;gene=XY1P;gene_biotype=pseudogene\n"
    ),
    "refseq.gtf": (
        'chr1\tRefSeq\tgene\t190\t255\t.\t+\t.\tgene_id "b0001"; transcript_id ""; db_xref "ASAP:ABE-6"; '
        'gbkey "Gene"; gene "thrL"; gene_biotype "protein_coding"; locus_tag "b0001";\n'
        'chr1\tRefSeq\tCDS\t190\t252\t.\t+\t0\tgene_id "b0001"; transcript_id "unassigned_transcript_1";\n'
        'chr1\tBestRefSeq\tgene\t300\t400\t.\t-\t.\tgene_id "XY1P"; transcript_id ""; gene "XY1P"; '
        'gene_biotype "pseudogene";\n'
    ),
}


@pytest.mark.parametrize("name", NCBI)
def test_annotations_of_ncbi_name_genes_by_locus_tag_or_symbol(tmp_path, name):
    (tmp_path / name).write_text(NCBI[name])
    assert read_genes(tmp_path / name, SIZES).to_frame().to_numpy().tolist() == [
        ["b0001", "thrL", "chr1", 189, 255, "+", "protein_coding"],
        ["XY1P", "XY1P", "chr1", 299, 400, "-", "pseudogene"],
    ]


def test_a_gene_across_the_origin_of_a_circle_is_left_out_and_named(tmp_path, caplog):
    region = "chr2\tRefSeq\tregion\t1\t500\t.\t+\t.\tID=chr2:1..500;Is_circular=true;gbkey=Src\n"
    gene = "chr2\tRefSeq\tgene\t490\t530\t.\t-\t.\tID=gene-b9;Name=repA;locus_tag=b9\n"
    (tmp_path / "g.gff3").write_text(region + gene + gene.replace("530", "500").replace("b9", "b8"))
    assert read_genes(tmp_path / "g.gff3", SIZES).id.tolist() == ["b8"]
    assert caplog.messages == ["g.gff3: gene b9 lies across the origin of chr2 and is left out"]
    (tmp_path / "g.gff3").write_text(gene)
    with pytest.raises(InputError, match="gene b9 lies at chr2:489-530"):
        read_genes(tmp_path / "g.gff3", SIZES)


def test_a_gtf_without_genes_parts_copies_on_two_chromosomes_or_strands(tmp_path):
    places = [("chr1", 11, 20, "+"), ("chr2", 31, 40, "+"), ("chr1", 51, 60, "-"), ("chr1", 71, 80, "+")]
    (tmp_path / "g.gtf").write_text(
        "".join(f'{c}\tx\texon\t{first}\t{last}\t.\t{s}\t.\tgene_id "g";\n' for c, first, last, s in places)
    )
    genes = read_genes(tmp_path / "g.gtf", SIZES)
    assert list(zip(genes.chrom, genes.start, genes.end, genes.strand, strict=True)) == [
        ("chr1", 10, 80, "+"),
        ("chr2", 30, 40, "+"),
        ("chr1", 50, 60, "-"),
    ]


def test_exons_before_the_first_gene_of_a_gtf_make_no_further_gene(tmp_path):
    exon = 'chr1\tx\texon\t11\t20\t.\t+\t.\tgene_id "b1";\n'
    (tmp_path / "g.gtf").write_text(exon + exon.replace("exon", "gene"))
    assert len(read_genes(tmp_path / "g.gtf", SIZES)) == 1


@pytest.mark.parametrize("first", ["gene", "exon"])
def test_genes_of_a_gtf_without_a_row_of_their_own_are_named_where_others_have_one(tmp_path, caplog, first):
    exon = 'chr1\tx\texon\t11\t20\t.\t+\t.\tgene_id "{}";\n'
    rows = [exon.format("gene-a").replace("exon", "gene"), exon.format("gfp"), exon.format("gene-a")]
    (tmp_path / "g.gtf").write_text("".join(rows if first == "gene" else rows[::-1]))
    assert read_genes(tmp_path / "g.gtf", SIZES).id.tolist() == ["a"]
    assert caplog.messages == [
        "g.gtf: 1 of its genes have no row of their own, though others have, and are left out: gfp"
    ]


def test_chromosome_names_are_translated_and_foreign_ones_left_out(tmp_path):
    (tmp_path / "g.bed").write_text("1\t10\t20\ta\t0\t+\nplasmid\t0\t5\tb\t0\t+\n")
    assert read_genes(tmp_path / "g.bed", SIZES).chrom.tolist() == ["chr1"]
    genes = read_genes(tmp_path / "g.bed", SIZES, aliases={"plasmid": "chr2"})
    assert genes.chrom.tolist() == ["chr1", "chr2"]


def test_a_gene_of_unknown_strand_starts_at_its_start(tmp_path):
    (tmp_path / "g.bed").write_text("chr1\t10\t20\ta\t0\t.\n")
    assert read_genes(tmp_path / "g.bed", SIZES).tss.tolist() == [10]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.txt", BED, "genes are read from .gff"),
        ("g.gff3", "chr1\tx\tmRNA\t1\t9\t.\t+\t.\tID=m\n", "holds no gene"),
        ("g.gff3", "chr1\tx\tgene\t1\t9\n", "line 1: expected 9 tab-separated columns; got 5"),
        ("g.gff3", "chr1\tx\tgene\t1\t9\t.\t+\t.\tNote=x\n", "line 1: a gene has no gene_id"),
        ("g.bed", "chr1\t10\t20\n", "line 1: genes need BED6"),
        ("g.bed", "chr1\tten\t20\ta\t0\t+\n", "line 1: start and end must be whole numbers"),
        ("g.bed", "chr1\t10\t1001\ta\t0\t+\n", "gene a lies at chr1:10-1001"),
        ("g.bed", "chr1\t10\t10\ta\t0\t+\n", "gene a lies at chr1:10-10"),
        ("g.tsv", "name\tchrom\tstart\tstop\tstrand\n", "has no column 'end'"),
        ("g.tsv", "name\tchrom\tstart\tend\tstrand\na\tchr1\t5\n", "start and end must be whole numbers"),
        ("g.bed", "chrZ\t10\t20\ta\t0\t+\n", "no chromosome of the genome"),
    ],
)
def test_a_wrong_file_is_an_error_that_says_why(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_genes(tmp_path / name, SIZES)


def test_selected_genes_keep_all_their_columns(tmp_path):
    (tmp_path / "g.tsv").write_text(TSV)
    genes = read_genes(tmp_path / "g.tsv", SIZES).select(np.array([False, True]))
    assert (len(genes), genes.id.tolist(), genes.tss.tolist()) == (1, ["b2"], [39])


def test_genes_survive_a_table(tmp_path):
    (tmp_path / "g.tsv").write_text(TSV + "NA\tchr2\t30\t40\t-\t007\t\n")
    genes = read_genes(tmp_path / "g.tsv", SIZES)
    genes.to_frame().to_csv(tmp_path / "again.tsv", sep="\t", index=False)
    again = Genes.from_frame(pd.read_csv(tmp_path / "again.tsv", sep="\t", dtype=str, keep_default_na=False))
    assert again.to_frame().equals(genes.to_frame())


def make_genes(rows):
    frame = pd.DataFrame(rows, columns=["chrom", "start", "end", "strand"])
    return Genes.from_frame(frame.assign(id="g", name="g", biotype=""))


PLACES = st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(0, 24), st.integers(1, 25), st.sampled_from("+-."))


@given(st.lists(PLACES, max_size=8), st.booleans(), st.sampled_from(["gene", "tss"]))
def test_the_bins_of_a_gene_are_those_that_its_body_or_its_tss_touches(places, partial, paint):
    genes = make_genes([(chrom, start, min(start + length, 25), strand) for chrom, start, length, strand in places])
    bins = Bins({"b": 25, "a": 25, "c": 25}, 10, partial=partial)
    starts, ends = (genes.tss, genes.tss + 1) if paint == "tss" else (genes.start, genes.end)
    touched = [
        bins.touching(Interval(*place)) for place in zip(genes.chrom, starts.tolist(), ends.tolist(), strict=True)
    ]
    gene, tile = gene_bins(genes, bins, paint=paint)
    pairs = [(number, each) for number, tiles in enumerate(touched) for each in range(tiles.start, tiles.stop)]
    assert list(zip(gene.tolist(), tile.tolist(), strict=True)) == pairs


@pytest.mark.needs_shared_data
def test_the_yeast_annotation_and_contact_map_fit_the_yeast_genome(shared_data):
    import cooler

    yeast = shared_data / "yeast"
    sizes = {name: len(codes) for name, codes in read_fasta(yeast / "S288C_R64-2-1.fsa.gz")}
    genes = read_genes(yeast / "Saccharomyces_cerevisiae.R64-1-1.99.gff3.gz", sizes)
    assert ((genes.biotype == "protein_coding").sum(), set(genes.chrom)) == (6600, set(sizes))
    found = dict(cooler.Cooler(str(yeast / "scer_w303_g1_2kb_SRR8769554.cool")).chromsizes)
    # Another strain: chr12 is 6,177 bp shorter than in the reference.
    names = match_names(sizes, found, aliases={}, source="cool", sizes=sizes, found_sizes=found, tolerance=8000)
    assert (names["X"], names["XVI"], names["Mito"], len(names)) == ("chr10", "chr16", "chrM", 17)
