"""The report of an ablation says the verdict first, shows what is missing as missing, and loads nothing."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from genograph.report import Ablation, Locus, render, write_report
from genograph.report.tables import duration, p_value
from genograph.statistics.verdict import Verdict

NAN = float("nan")
VOID = {"meta", "br", "link", "img", "hr", "input"}
SECTIONS = ["effects", "by-stratum", "by-dose", "predictions", "leakage", "training", "costs", "configuration"]


def table(columns, *rows):
    return pd.DataFrame(list(rows), columns=columns.split())


ABLATION = Ablation(
    name="tiny",
    score="Pearson r over genes",
    verdict=Verdict(
        label="contacts help", sentence="By 0.200.", reasons=["hic beats rewired."], judged="160 genes in 20 blocks"
    ),
    others={"methylation": "no difference found: By .010."},
    reference="hic",
    arms=table(
        "arm description runs r sd low high parameters contacts_trained contacts seconds peak_mb",
        ("rewired", "Degrees kept", 2, 0.4, 0.01, 0.35, 0.45, 1200, 1.5, 1.25, 61, 512),
        ("hic", "Contacts", 2, 0.6, 0.01, 0.55, 0.65, 1200, 1.5, 1.5, 60, 512),
        ("broken", "No score", 2, NAN, NAN, NAN, NAN, 1200, 1.5, 1.5, 60, 512),
    ),
    differences=table(
        "arm delta low high p p_holm detectable pairs left_out",
        ("rewired", 0.2, 0.1, 0.3, 0.0002, 0.04, 0.05, 4, 1),
        ("broken", NAN, NAN, NAN, NAN, NAN, NAN, 0, 5),
    ),
    tracks=table(
        "track arm r delta low high",
        ("PolII", "hic", 0.6, NAN, NAN, NAN),
        ("PolII", "rewired", 0.5, 0.1, 0.05, 0.15),
    ),
    strata=table(
        "stratum level arm n r delta low high",
        ("contacts", "none", "rewired", 9, 0.5, -0.01, -0.1, 0.1),
        ("contacts", "many", "rewired", 9, 0.3, 0.3, 0.2, 0.4),
        ("contacts", "many", "hic", 9, 0.6, NAN, NAN, NAN),
    ),
    baselines=table("baseline r", ("4-mer ridge", 0.35)),
    dose=table("fraction r low high", (1, 0.6, 0.5, 0.7), (0.1, 0.4, 0.3, 0.5)),
    curves=table(
        "arm fold seed epoch train_loss valid_loss valid_pearsonr",
        ("hic", 0, 0, 1, 1.0, 1.1, 0.1),
        ("hic", 0, 0, 2, 0.9, 1.0, NAN),
        ("hic", 0, 1, 1, 1.0, 1.2, 0.2),
    ),
    audit=table(
        "check status count message",
        ("edges across splits", "ok", 0, "None."),
        ("masked bins", "allowed", 3, "Three."),
        ("degree", "note", NAN, "Predicts little."),
        ("labels", "leak", 1, "One."),
    ),
    allowed=["masked bins are wanted"],
    scatter=table("arm prediction target", ("hic", 1.0, 1.1), ("hic", NAN, 2.0)),
    locus=Locus("chr1", 1000, 100, np.array([1, NAN]), {"hic": np.ones(2)}, np.array([[1000, 1150, 1.0]]), "CAGE+"),
    config="name: tiny\n",
    versions={"genograph": "0.1.0"},
    ceiling=0.9,
    unfinished=["hic fold 1 seed 0"],
)


class Page(HTMLParser):
    """Elements, their ids and all text of a page; fails on a tag that does not close its own."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(page)
        assert self.open == []
        self.ids = [attributes["id"] for _, attributes in self.elements if "id" in attributes]
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.words.append(data)

    def of(self, tag):
        return [attributes for kind, attributes in self.elements if kind == tag]


def page(**changes):
    return Page(render(replace(ABLATION, **changes)))


def rows(html, name):
    """The cells of a table's body as text."""
    body = re.search(rf'<table id="{name}">.*?<tbody>(.*?)</tbody>', html, re.DOTALL).group(1)
    plain = re.sub(r'<span aria-hidden="true">.*?</span>|<small>.*?</small>', "", body)
    cells = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row, re.DOTALL) for row in plain.split("</tr>")[:-1]]
    return [[re.sub("<.*?>", "", cell).strip() for cell in row] for row in cells]


def test_the_page_is_well_formed_and_every_id_is_there_once():
    built = page()
    assert len(built.ids) == len(set(built.ids))


def test_whatever_refers_to_an_id_finds_it():
    built = page()
    labels = [name for _, given in built.elements for name in given.get("aria-labelledby", "").split()]
    links = [given["href"].removeprefix("#") for given in built.of("a")]
    assert set(labels + links) <= set(built.ids)


def test_the_verdict_is_the_one_heading_and_stands_first():
    built = page()
    assert len(built.of("h1")) == 1
    assert built.text.index("contacts help By 0.200.") < built.text.index("hic beats rewired.") < 300


def test_the_head_says_on_what_arms_are_judged():
    assert page().text.index("Judged on 160 genes in 20 blocks") < page().text.index("Reference arm")


def test_warnings_stand_before_the_reasons_and_no_box_without_any():
    warned = page(verdict=replace(ABLATION.verdict, warnings=["arm mine is hic."])).text
    assert warned.index("To know before you read on arm mine is hic.") < warned.index("hic beats rewired.")
    assert "To know before" not in page().text


def test_every_section_is_there_and_in_the_list_of_sections():
    built = page()
    assert [given["id"] for given in built.of("h2")] == SECTIONS
    assert [given["href"] for given in built.of("a")] == [f"#{name}" for name in SECTIONS]


@pytest.mark.parametrize(
    ("field", "sections"),
    [
        ("arms", {"effects", "costs"}),
        ("strata", {"by-stratum"}),
        ("dose", {"by-dose"}),
        ("audit", {"leakage"}),
        ("curves", {"training"}),
    ],
)
def test_an_empty_table_is_left_out_with_its_heading(field, sections):
    built = page(**{field: getattr(ABLATION, field).iloc[:0]})
    assert [given["id"] for given in built.of("h2")] == [name for name in SECTIONS if name not in sections]


def test_without_scatter_and_locus_there_are_no_predictions():
    built = page(scatter=ABLATION.scatter.iloc[:0], locus=None)
    assert "predictions" not in built.ids


def test_simple_predictors_stand_below_the_arms_in_the_plot_of_r_and_in_a_table():
    html = render(ABLATION)
    assert rows(html, "baselines") == [["4-mer ridge", "0.350"]]
    effect, scores = (
        re.search(rf'id="{name}-title".*?</svg>', html, re.DOTALL).group() for name in ("effect", "scores")
    )
    assert "4-mer ridge" in scores
    assert "4-mer ridge" not in effect
    assert "simple predictors" not in page(baselines=ABLATION.baselines.iloc[:0]).text


def test_tracks_stand_by_themselves_where_there_are_several():
    assert rows(render(ABLATION), "tracks")[1] == ["rewired", "PolII", "0.500", "0.100", "0.050 to 0.150"]
    assert "tracks" not in page(tracks=ABLATION.tracks.iloc[:0]).ids


def test_what_is_said_of_other_assays_stands_beside_the_verdict():
    assert "Of methylation no difference found: By .010." in page().text
    assert "Of methylation" not in page(others={}).text


def test_a_difference_says_over_how_many_pairs_it_is():
    assert [row[-2:] for row in rows(render(ABLATION), "differences")] == [["4", "1"], ["0", "5"]]


def test_the_reference_alone_has_no_table_of_differences():
    built = page(differences=ABLATION.differences.iloc[:0])
    assert "effects" in built.ids
    assert "differences" not in built.ids


def test_nothing_is_loaded():
    html = render(ABLATION)
    assert not re.search(r"(?:https?:)?//[a-z]|@import|url\(", html)
    assert not [given for _, given in Page(html).elements if "src" in given]
    assert "default-src 'none'" in html


@pytest.mark.parametrize("field", ["name", "score", "reference", "config"])
def test_words_are_never_read_as_html(field):
    built = page(**{field: "<script>alert(1)</script>"})
    assert len(built.of("script")) == 1
    assert "<script>alert(1)</script>" in built.text


def test_the_name_of_an_arm_is_harmless_wherever_it_stands():
    bad = '"><script>alert(1)</script>'
    frames = {
        field: getattr(ABLATION, field).replace({"arm": {"rewired": bad, "hic": bad + "2"}})
        for field in ("arms", "differences", "strata", "tracks", "curves", "scatter")
    }
    built = page(reference=bad + "2", **frames)
    assert len(built.of("script")) == 1
    assert bad in built.text


def test_allowed_leakage_is_shown_in_red_before_the_reasons():
    html = render(ABLATION)
    assert html.index('<aside class="bad"') < html.index("masked bins are wanted") < html.index("hic beats rewired.")
    assert '<aside class="bad"' not in render(replace(ABLATION, allowed=[]))


def test_missing_runs_are_a_warning():
    assert "1 run is missing hic fold 1 seed 0" in page().text
    assert "missing hic" not in page(unfinished=[]).text


def test_arms_stand_in_the_order_of_r_and_what_is_not_defined_is_no_zero():
    assert rows(render(ABLATION), "arms") == [
        ["hic", "Contacts", "2", "0.600", "0.550 to 0.650", "0.010"],
        ["rewired", "Degrees kept", "2", "0.400", "0.350 to 0.450", "0.010"],
        ["broken", "No score", "2", "not defined", "not defined", "not defined"],
    ]


def test_differences_have_their_tests():
    assert rows(render(ABLATION), "differences")[0] == [
        "rewired",
        "0.200",
        "0.100 to 0.300",
        "&lt;0.001",
        "0.040",
        "0.050",
        "4",
        "1",
    ]


def test_a_cell_is_sorted_by_its_value_and_not_by_what_is_shown():
    html = render(ABLATION)
    assert re.search(r'data-key="61" class="number">1 min 01 s<', html)
    assert html.count('data-key="" class="number"') >= 3


def test_the_cost_of_an_arm_is_in_words():
    assert rows(render(ABLATION), "cost")[1] == ["rewired", "1,200", "1.500", "1.250", "1 min 01 s", "512"]


@pytest.mark.parametrize(("seconds", "text"), [(59.4, "59 s"), (59.6, "1 min 00 s"), (3660, "1 h 01 min")])
def test_a_duration_has_two_units_at_most(seconds, text):
    assert duration(seconds) == text


def test_a_small_p_is_never_zero():
    assert (p_value(0.0), p_value(0.001)) == ("<0.001", "0.001")


def test_the_status_of_a_check_is_a_word_and_a_sign():
    html = render(ABLATION)
    assert [row[1] for row in rows(html, "audit")] == ["ok", "allowed", "note", "leak"]
    assert '<span class="status leak"><span aria-hidden="true">✗</span> leak</span>' in html


def test_every_table_has_a_caption_and_headings_with_scope():
    built = page()
    assert len(built.of("caption")) == len(built.of("table")) == 8
    assert {given.get("scope") for given in built.of("th")} == {"row", "col"}


def test_figures_and_tables_are_numbered_through():
    text = page().text
    assert re.findall(r"Table (\d)\.", text) == list("12345678")
    assert re.findall(r"Figure (\d)\.", text) == list("12345678")


def test_the_reference_is_a_diamond_in_both_forest_plots():
    assert render(ABLATION).count('class="mark reference"') == 2


def test_the_ceiling_is_left_out_where_it_is_unknown():
    assert "Ceiling of r 0.900" in page().text
    assert "eiling" not in page(ceiling=None).text


def test_an_arm_that_was_not_compared_has_no_panel_of_strata():
    ids = page().ids
    assert "stratum-0-0-title" not in ids  # hic, the reference
    assert "stratum-0-1-title" in ids


def test_a_report_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    write_report(ABLATION, path)
    before = path.read_text(encoding="utf-8")
    assert before == render(ABLATION)

    def fails(source, target):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fails)
    with pytest.raises(OSError, match="disk full"):
        write_report(replace(ABLATION, name="other"), path)
    assert path.read_text(encoding="utf-8") == before
    assert list(tmp_path.iterdir()) == [path]


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")


def opened(html, folder):
    """A page as chromium leaves it, and what it wrote to its console."""
    (folder / "report.html").write_text(html, encoding="utf-8")
    quiet = "--no-first-run --disable-gpu --disable-quic --disable-background-networking --disable-component-update"
    flags = f"--headless --no-sandbox {quiet} --disable-sync --enable-logging=stderr --dump-dom".split()
    command = [CHROMIUM, *flags, f"--user-data-dir={folder / 'profile'}", (folder / "report.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def with_script(script):
    return render(ABLATION).replace("</body>", f"<script>{script}</script></body>")


@needs_chromium
def test_the_page_opens_in_chromium_without_a_word_on_the_console(tmp_path):
    html, console = opened(with_script("document.body.dataset.ran = 1"), tmp_path)
    assert 'data-ran="1"' in html
    assert "<h1>contacts help</h1>" in html
    assert console == []


@needs_chromium
def test_an_error_of_the_page_would_be_on_the_console(tmp_path):
    _, console = opened(with_script("throw Error('broken')"), tmp_path)
    assert "broken" in console[0]


@needs_chromium
@pytest.mark.parametrize(("clicks", "arms"), [(1, ["rewired", "hic", "broken"]), (2, ["hic", "rewired", "broken"])])
def test_a_table_sorts_by_a_click_and_what_is_not_defined_stays_last(tmp_path, clicks, arms):
    click = "document.querySelectorAll('#arms thead button')[3].click();"
    html, _ = opened(with_script(click * clicks), tmp_path)
    assert [row[0] for row in rows(html, "arms")] == arms
    assert f'aria-sort="{("ascending", "descending")[clicks - 1]}"' in html
