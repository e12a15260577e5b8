"""Charts put values where they belong, say what is not defined, and are well-formed SVG."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genograph import charts
from genograph.charts import Estimate, Line, Scale, decimal
from genograph.charts.drawing import polyline

NAN = float("nan")
NO_ARCS = np.empty((0, 3))


def drawn(chart, kind):
    """Elements of a chart that have the class `kind`."""
    return [node for node in ET.fromstring(chart).iter() if kind in node.get("class", "").split()]


def words(chart):
    return [node.text for node in ET.fromstring(chart).iter("text")]


def ends(line):
    return float(line.get("x1")), float(line.get("x2"))


def forest(*rows, **options):
    return charts.forest("chart", list(rows), title="r per arm", axis="r", **options)


def locus(tracks, arcs=NO_ARCS, **options):
    return charts.locus("chart", tracks, title="chr1", **({"start": 0, "bin_size": 100} | options), arcs=arcs)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1234, "0.123"), (-0.5, "−0.500"), (-0.0001, "0.000"), (-1234.5, "−1,234.500"), (NAN, "–"), (np.inf, "–")],  # noqa: RUF001
)
def test_a_number_has_three_decimals_and_what_is_none_is_a_dash(value, text):
    assert decimal(value) == text


def test_a_scale_is_straight():
    scale = Scale(-1, 3, 100, 0)
    assert [scale(value) for value in (-1, 0, 3)] == [100, 75, 0]


def test_a_scale_covers_what_is_defined():
    assert Scale.covering([NAN, 2, 4, np.inf], 0, 1, pad=0.5) == Scale(1, 5, 0, 1)


def test_a_scale_of_one_value_has_a_width():
    assert Scale.covering([0, 0], 0, 1) == Scale(-0.5, 0.5, 0, 1)


def test_a_scale_of_nothing_is_zero_to_one():
    assert Scale.covering([NAN], 0, 1, pad=0) == Scale(0, 1, 0, 1)


def test_ticks_are_round_and_within():
    assert [text for _, text in Scale(-0.13, 0.27, 0, 1).ticks(4)] == ["−0.1", "0.0", "0.1", "0.2"]  # noqa: RUF001


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(2, 6))
def test_there_are_ticks_on_every_axis_and_none_beyond_it(low, span, count):
    ticks = [value for value, _ in Scale(low, low + span, 0, 1).ticks(count)]
    assert 1 <= len(ticks) <= 2 * count
    assert low - 1e-6 * span <= min(ticks)
    assert max(ticks) <= low + span * (1 + 1e-6)


def test_the_zero_line_stands_midway_between_one_and_minus_one():
    (zero,) = drawn(forest(Estimate("a", -1), Estimate("b", 1), zero=True), "zero")
    assert ends(zero) == (178.3, 178.3)  # the axis runs from 22.6 to 334


def test_an_interval_ends_at_its_ends():
    (interval,) = drawn(forest(Estimate("a", 0, -1, 1)), "interval")
    assert ends(interval) == (39.3, 317.3)  # -1.12 stands at 22.6, and 1.12 at 334


def test_the_mark_stands_at_the_value_in_the_middle_of_its_row():
    first, second = drawn(forest(Estimate("a", -1), Estimate("b", 1)), "mark")
    assert (first.get("cx"), first.get("cy"), second.get("cx"), second.get("cy")) == ("39.3", "35", "317.3", "57")


def test_the_axis_holds_zero_and_the_ceiling():
    chart = forest(Estimate("a", 0.5), zero=True, ceiling=1)
    (zero,), (ceiling,), (mark,) = (drawn(chart, kind) for kind in ("zero", "ceiling", "mark"))
    assert (ends(zero)[0] + ends(ceiling)[0]) / 2 == pytest.approx(float(mark.get("cx")), abs=0.1)
    assert "ceiling 1.000" in words(chart)


@pytest.mark.parametrize("ceiling", [None, NAN])
def test_no_ceiling_draws_none(ceiling):
    assert drawn(forest(Estimate("a", 0.5), ceiling=ceiling), "ceiling") == []


def test_marks_differ_in_shape_and_not_in_colour_alone():
    rows = [Estimate("a", 1), Estimate("b", 2, mark="hollow"), Estimate("c", 3, mark="reference")]
    kinds = [(node.tag, node.get("class")) for node in drawn(forest(*rows), "mark")]
    assert kinds == [("circle", "mark filled"), ("circle", "mark hollow"), ("path", "mark reference")]


def test_a_row_without_a_value_says_so_and_has_no_mark():
    chart = forest(Estimate("a", NAN), Estimate("b", 1))
    assert len(drawn(chart, "mark")) == 1
    assert words(chart)[-4:] == ["a", "not defined", "b", "1.000"]


def test_an_interval_with_one_end_is_not_drawn():
    assert drawn(forest(Estimate("a", 1, NAN, 2)), "interval") == []


def test_all_rows_may_be_undefined():
    assert drawn(forest(Estimate("a", NAN)), "mark") == []


def test_a_long_label_is_cut():
    assert "x" * 23 + "…" in words(forest(Estimate("x" * 60, 1)))


def test_a_note_stands_in_place_of_the_value():
    assert words(forest(Estimate("hic", 0, note="reference")))[-2:] == ["hic", "reference"]


def test_small_forest_plots_share_their_axis():
    zeros = [
        drawn(charts.levels("chart", [Estimate("low", value)], title="a", span=(-1, 1)), "zero")[0]
        for value in (0.2, 1)
    ]
    assert ends(zeros[0]) == ends(zeros[1])


def test_a_path_breaks_where_a_value_is_missing():
    assert polyline(np.arange(3.0), np.array([1, NAN, 3])) == "M0.0 1.0M2.0 3.0"


def test_the_mean_of_runs_ends_where_the_first_of_them_stops():
    line = Line("valid r", np.array([[0.0, 0.4, NAN], [1.0, 0.6, 0.9]]))
    assert line.mean.tolist()[:2] == [0.5, 0.5]
    assert np.isnan(line.mean[2])


def test_curves_have_a_faint_line_per_run_and_one_mean():
    chart = charts.curves("chart", [Line("valid r", np.zeros((3, 2)))], title="hic", span=(0, 1), epochs=2)
    assert (len(drawn(chart, "run")), len(drawn(chart, "mean"))) == (3, 1)
    assert drawn(chart, "mean")[0].get("d") == "M36.0 108.0L172.0 108.0"


def test_training_is_dashed():
    lines = [Line("valid loss", np.zeros((1, 2))), Line("train loss", np.ones((1, 2)), dashed=True)]
    chart = charts.curves("chart", lines, title="hic", span=(0, 1), epochs=2)
    assert [node.get("class") for node in drawn(chart, "mean")] == ["mean", "mean dashed"]


def test_doses_are_in_order_and_full_dose_at_the_right():
    rows = np.array([[0.6, 0.5, 0.7], [0.2, NAN, NAN]])
    chart = charts.dose("chart", np.array([1.0, 0.5]), rows, title="dose", axis="r")
    assert [node.get("cx") for node in drawn(chart, "mark")] == ["217", "386"]
    assert len(drawn(chart, "interval")) == 1


def test_a_pair_with_a_missing_value_is_no_dot():
    chart = charts.scatter("chart", np.array([0, 1, NAN]), np.array([0, 1, 1]), title="hic", span=(0, 1))
    (dots,) = drawn(chart, "dots")
    assert dots.get("d") == "M36.0 158.0h0M172.0 22.0h0"


def test_an_arc_joins_both_ends_of_a_contact():
    (arc,) = drawn(locus({"a": np.ones(4)}, np.array([[100.0, 300.0, 5.0]])), "arc")
    assert arc.get("d") == "M180.0 106A180.0 96.0 0 0 1 540.0 106"  # 400 bp are 720 wide


def test_a_stronger_contact_is_thicker():
    arcs = drawn(locus({"a": np.ones(4)}, np.array([[0, 100, 1.0], [0, 200, 4.0]])), "arc")
    assert [arc.get("stroke-width") for arc in arcs] == ["2.5", "1"]


def test_only_the_strongest_contacts_are_drawn():
    arcs = np.array([[0, 100 + weight, weight] for weight in range(300)], dtype=float)
    assert len(drawn(locus({"a": np.ones(4)}, arcs), "arc")) == charts.MAX_ARCS


def test_a_bin_without_a_measurement_is_shaded():
    (missing,) = drawn(locus({"a": np.array([1, NAN, NAN, 1])}), "missing")
    assert (missing.get("x"), missing.get("width")) == ("180", "360")


def test_tracks_share_one_scale_from_zero():
    target, prediction = (
        drawn(locus({"measured": np.array([4.0]), "hic": np.array([2.0])}), kind)[0].get("d")
        for kind in ("target", "prediction")
    )
    assert target == "M0.0 86.0V42.0H720.0V86.0z"
    assert prediction == "M0.0 162.0V140.0H720.0V162.0z"


def test_a_locus_where_nothing_was_measured_is_drawn():
    assert len(drawn(locus({"a": np.full(3, NAN)}), "missing")) == 1


CHARTS = {
    "forest": lambda text: charts.forest("x", [Estimate(text, 1, 0, 2)], title=text, axis=text),
    "levels": lambda text: charts.levels("x", [Estimate(text, 1)], title=text, span=(0, 1)),
    "dose": lambda text: charts.dose("x", np.ones(1), np.ones((1, 3)), title=text, axis=text),
    "curves": lambda text: charts.curves("x", [Line(text, np.ones((1, 1)))], title=text, span=(0, 1), epochs=1),
    "scatter": lambda text: charts.scatter("x", np.ones(1), np.ones(1), title=text, span=(0, 2)),
    "locus": lambda text: charts.locus("x", {text: np.ones(1)}, start=0, bin_size=9, arcs=NO_ARCS, title=text),
}


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_a_chart_says_what_it_shows_and_takes_any_text_as_text(chart):
    root = ET.fromstring(chart("<b>&\"'"))
    title, desc = root[0], root[1]
    assert (title.tag, title.text, desc.tag) == ("title", "<b>&\"'", "desc")
    assert root.get("aria-labelledby").split() == [title.get("id"), desc.get("id")]
    assert (root.get("role"), list(root.iter("b"))) == ("img", [])


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_a_chart_scales_and_leaves_colour_to_the_page(chart):
    root = ET.fromstring(chart("hic"))
    assert root.get("viewBox")
    assert root.get("width") is None
    assert not [node for node in root.iter() if {"fill", "stroke", "style"} & set(node.attrib)]
