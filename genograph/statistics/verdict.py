"""What an ablation says, in words, by the rules that docs/ablation.md states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from genograph.statistics.comparison import Comparison
from genograph.statistics.estimate import LEVEL, MOST_SEEDS, MOST_TIMES, enough

WITHOUT_EDGES = ("features_only", "no_graph")
REWIRED, DISTANCE_MATCHED, BY_DISTANCE = "rewired", "distance_matched", "rewired_by_distance"
DILATED = "basenji"
ASKED = (*WITHOUT_EDGES, REWIRED, DISTANCE_MATCHED, BY_DISTANCE, DILATED)  # what Holm's correction is taken over
MOST = 0.5  # of a gain: what keeps this much of it may be what made it

HELP, HURT, NO_DIFFERENCE = "contacts help", "contacts hurt", "no difference found"
DEGREE, DISTANCE, BOTH = "degree explains it", "distance explains it", "degree and distance explain it"
MAPPABILITY, LAYOUT = "mappability explains it", "where sites lie explains it"
UNKNOWN = "not enough to tell"


@dataclass(frozen=True)
class Verdict:
    """What an ablation says.

    Args:
        label: "contacts help", "contacts hurt", "no difference found", "degree explains it", "distance explains it",
            "degree and distance explain it", "mappability explains it", "where sites lie explains it" or "not enough to
            tell".
        sentence: The label with its figures.
        reasons: What was compared and each rule that was applied, with figures.
        judged: On what: `160 genes in 20 blocks of 2 folds, 5 seeds`.
        warnings: What to know of single arms before all that is believed.
    """

    label: str
    sentence: str
    reasons: list[str]
    judged: str
    warnings: list[str] = field(default_factory=list)


def verdict(
    comparison: Comparison,
    audit_values: Mapping[str, float],
    *,
    score: str,
    unit: str = "points",
    ceiling: float | None = None,
    failed: Mapping[str, int] | None = None,
    left_behind: Sequence[str] = (),
) -> Verdict:
    """Whether contacts help the reference of an ablation, or what else explains its gain.

    Args:
        comparison: The runs.
        audit_values: From the leakage audit. `masked_bins_scored` counts the judged bins that the contact map masks;
            `mask_predicts`, `degree_predicts` and `layout_predicts` are the scores of predictors that see nothing but
            that mask, the number, strength and distance of a node's contacts, or where sites lie.
        score: What the scores are, such as "r over promoters".
        unit: What is judged, such as "promoters".
        ceiling: The score of a perfect model, where it is known.
        failed: How many runs of an arm could not be finished, of the arms where there are any.
        left_behind: Arms with runs whose training may have ended too early.
    """
    case = _Case(comparison, audit_values, ceiling, failed or {})
    label, figures = case.decide()
    sentence = f"{label}: {score} {figures}." + case.beside_dilated()
    early = [arm for arm in (comparison.reference, *ASKED) if arm in left_behind]
    if label == UNKNOWN and early:
        sentence += f" Training of {' and '.join(early)} may not be finished: more epochs come before more seeds."
    return Verdict(label, sentence, case.reasons, comparison.judged(unit))


class _Case:
    """The comparisons that the rules ask for, tested together, and the rules in their order."""

    def __init__(
        self,
        comparison: Comparison,
        audit_values: Mapping[str, float],
        ceiling: float | None,
        failed: Mapping[str, int],
    ) -> None:
        self.comparison, self.audit_values, self.ceiling, self.failed = comparison, audit_values, ceiling, failed
        self.reference = comparison.reference
        arms = [arm for arm in ASKED if arm in comparison.predictions and arm != self.reference]
        table = comparison.contrasts([(self.reference, arm) for arm in arms]).set_index("second")
        self.table = table[table["pairs"] > 0]
        self.reasons = [self._compared(arm) for arm in self.table.index]
        self.reasons += [self.lacking(arm) for arm in ASKED if arm in {*arms, *failed} and arm not in self.table.index]
        bare = [arm for arm in self.table.index if arm in WITHOUT_EDGES]
        self.baselines = bare or [arm for arm in self.table.index if arm == DILATED]
        if self.baselines:
            # A gain is one over all of them, so it is as sure as over the one that is hardest to beat.
            self.baseline = self.table.loc[self.baselines, "low"].fillna(-np.inf).idxmin()
            self.gain, self.baseline_r = self.table.loc[self.baseline, ["delta", "second_r"]].astype(float)

    def decide(self) -> tuple[str, str]:
        """The label and the figures of the first rule that applies, else that contacts help."""
        rules = (self.too_little, self.no_gain, self.mappability, self.layout, self.degree, self.distance, self.both)
        for rule in rules:
            if found := rule():
                return found
        return self.help()

    def too_little(self) -> tuple[str, str] | None:
        """There is nothing to compare with, nothing that differs, or there are no intervals."""
        if not self.baselines:
            r = self.comparison.contrast({self.reference: 1}).value
            lacking = [
                self.lacking(arm) for arm in WITHOUT_EDGES if arm in {*self.failed, *self.comparison.predictions}
            ]
            return (
                UNKNOWN,
                f"{self.reference} {_r(r)}, and no arm without edges: {', '.join(lacking) or 'run no_graph'}",
            )
        for arm in filter(self.same, self.baselines):
            return UNKNOWN, f"{self.difference(arm)}; {self.changes_nothing(arm)}"
        if not all(self.known(arm) for arm in self.baselines):
            needs = "an interval needs two held-out blocks of the genome and two seeds that all folds have"
            return UNKNOWN, f"{self.difference(self.baseline)}; {needs}"
        return None

    def no_gain(self) -> tuple[str, str] | None:
        """The reference is behind an arm without edges, or not clear of every one."""
        figures = self.difference(self.baseline)
        if all(self.beats(arm) for arm in self.baselines):
            self.reasons.append(f"a gain over {' and '.join(self.baselines)}")
            return None
        if any(self.loses_to(arm) for arm in self.baselines):
            behind_first = sorted(self.baselines, key=lambda arm: not self.loses_to(arm))
            return HURT, "; ".join(f"{self.difference(arm)}, {self.outcome(arm)}" for arm in behind_first)
        seen = self.table.loc[self.baseline, "detectable"]
        best = 1.0 if self.ceiling is None else self.ceiling
        if self.baseline_r + seen > best:
            return UNKNOWN, f"{figures}; even a perfect model, {_r(best)}, would have been missed"
        figures += self._corrected(self.baseline)
        return NO_DIFFERENCE, f"{figures}; the test could have seen r >= {_r(seen)} of difference"

    def mappability(self) -> tuple[str, str] | None:
        """Bins that the contact map masks are judged, and the mask alone may bring most of the gain."""
        judged = self.audit_values.get("masked_bins_scored", 0)
        if not judged:
            self.reasons.append("no bin that the contact map masks is judged")
            return None
        brought, told = self._could_bring("mask")
        self.reasons.append(f"{judged:,.0f} masked bins are judged; {told}")
        figures = f"{self.difference(self.baseline)}; {self.reasons[-1]}"
        if np.isnan(brought):
            return UNKNOWN, figures
        return (MAPPABILITY, figures) if brought >= MOST else None

    def layout(self) -> tuple[str, str] | None:
        """Where sites lie may bring most of the gain, and rewired contacts, beside which it stays, are not beaten."""
        if "layout_predicts" not in self.audit_values:
            return None
        brought, told = self._could_bring("layout")
        self.reasons.append(told)
        is_beaten = self.known(REWIRED) and self.beats(REWIRED)
        return (LAYOUT, f"{self.difference(self.baseline)}; {told}") if brought >= MOST and not is_beaten else None

    def degree(self) -> tuple[str, str] | None:
        """Rewired contacts keep every node's degree and, by classes of weight, its strength; they do as well."""
        self.reasons.append(self._could_bring("degree")[1])
        return self._explained(REWIRED, DEGREE)

    def distance(self) -> tuple[str, str] | None:
        """Random contacts at the same distances do as well."""
        return self._explained(DISTANCE_MATCHED, DISTANCE)

    def both(self) -> tuple[str, str] | None:
        """Contacts exchanged within classes of distance do as well, or might, as degree and distance tell so much."""
        if BY_DISTANCE in self.table.index:
            return self._explained(BY_DISTANCE, BOTH)
        brought, told = self._could_bring("degree")
        figures = f"{self.difference(self.baseline)}; {told}, and no control that ran keeps degree and distances both"
        return (UNKNOWN, f"{figures}: {self.lacking(BY_DISTANCE)}") if brought >= MOST else None

    def help(self) -> tuple[str, str]:
        """The reference beats the arms without edges and all controls."""
        figures = f"{self.difference(self.baseline)}; degree and loop strength explain {self._kept(REWIRED)[1]} of it"
        figures += f", contacts are worth what {self.reference} adds over {REWIRED}: {self._delta(REWIRED)}"
        if self.ceiling is not None:
            self.reasons.append(self._way(self.ceiling))
            figures += f"; {self.reasons[-1]}"
        return HELP, figures

    def _way(self, ceiling: float) -> str:
        """How much of what there was to gain the reference gains."""
        room = ceiling - self.baseline_r
        if room <= 0:
            return f"{self.baseline} is at the ceiling {_r(ceiling)} already"
        way = f"{_percent(self.gain / room)} of the way from {self.baseline} to the ceiling {_r(ceiling)}"
        return f"{self.reference} goes {way}"

    def _explained(self, control: str, label: str) -> tuple[str, str] | None:
        """What it means if the reference does not beat a control; None if it does."""
        figures = self.difference(self.baseline)
        if control in self.table.index and self.same(control):
            return UNKNOWN, f"{figures}; {self.changes_nothing(control)}"
        if not self.known(control):
            controls = dict.fromkeys((REWIRED, DISTANCE_MATCHED, control))
            missing = " and ".join(self.lacking(arm) for arm in controls if not self.known(arm))
            return UNKNOWN, f"{figures}; a gain, unexplained: {missing}"
        at_least, told = self._kept(control)
        self.reasons.append(f"{control} keeps {told} of the gain over {self.baseline}")
        if self.beats(control):
            return None
        figures += f"; {self.reasons[-1]}, and {self.reference} is not clear of it: {self._delta(control)}"
        if at_least >= MOST and self.table.loc[control, "low"] <= 0:
            return label, figures
        return UNKNOWN, f"{figures}{self._corrected(control)}; {self._unclear(control)}"

    def _unclear(self, control: str) -> str:
        """What is not known of a control, and how many runs would tell.

        What the reference adds to the control, and what the control keeps beyond half of the gain, are half of the
        gain together. One of them is clear of zero if half their intervals together are shorter than that.
        """
        adds = self.comparison.contrast({self.reference: 1, control: -1})
        keeps = self.comparison.contrast({control: 1, self.reference: -MOST, self.baseline: MOST - 1})
        if np.isnan(keeps.error):
            would_tell = f"run {self.reference}, {control} and {self.baseline} with the same folds and seeds"
        else:
            would_tell = _would_tell(enough([adds, keeps], (1 - MOST) * self.gain))
        return (
            f"unclear is whether {self.reference} adds to {control} or {control} keeps half of the gain; {would_tell}"
        )

    def _kept(self, arm: str) -> tuple[float, str]:
        """The share of the gain that an arm keeps at least, NaN if that is not known, and the share in words."""
        row = self.comparison.shares(self.baseline).set_index("arm").loc[arm]
        if np.isnan(row["share"]):
            return np.nan, "an unknown part"
        interval = "" if np.isnan(row["low"]) else f" [{100 * row['low']:.0f}, {100 * row['high']:.0f}]"
        return float(row["low"]), _percent(row["share"]) + interval

    def _could_bring(self, predictor: str) -> tuple[float, str]:
        """The share of the gain that a predictor brings if it tells nothing of what the baseline does, and the words.

        The squares of correlations with predictors that are not correlated add up.
        """
        alone = self.audit_values.get(f"{predictor}_predicts", np.nan)
        if np.isnan(alone):
            return np.nan, f"what the {predictor} alone predicts is not known"
        had = max(self.baseline_r, 0)
        brought = (np.hypot(had, alone) - had) / self.gain
        seen = "degree, strength and distance of contacts" if predictor == "degree" else f"the {predictor}"
        return brought, f"{seen} alone, r {_r(alone)}, could bring {_percent(brought)} of the gain"

    def known(self, arm: str) -> bool:
        """Whether there is an interval of the reference less an arm."""
        return arm in self.table.index and not np.isnan(self.table.loc[arm, "low"])

    def lacking(self, arm: str) -> str:
        """Why there is no interval of the reference less an arm, or what to do."""
        if arm in self.table.index or (arm not in self.failed and arm not in self.comparison.predictions):
            return f"run {arm} with the same folds and seeds"
        if arm not in self.comparison.predictions:
            return f"{arm} failed, all {self.failed[arm]} of its runs"
        shared = self.comparison.contrasts([(self.reference, arm)]).loc[0, "undefined"]
        if not shared:
            return f"{arm} and {self.reference} have no run of the same fold and seed"
        return f"{arm} has no defined score beside {self.reference}, as where nothing is predicted, in {shared} runs"

    def same(self, arm: str) -> bool:
        """Whether an arm has the reference's score in every way, as one does that changes nothing."""
        delta, high = self.table.loc[arm, ["delta", "high"]]
        return delta == 0 and (high == 0 or np.isnan(high))

    def changes_nothing(self, arm: str) -> str:
        """That an arm is the reference."""
        return f"{self.reference} and {arm} predict the same to the digit: the arm changes nothing"

    def beats(self, arm: str) -> bool:
        """Whether the reference is clearly above an arm."""
        return self.table.loc[arm, "low"] > 0 and self.table.loc[arm, "p_holm"] < LEVEL

    def loses_to(self, arm: str) -> bool:
        """Whether the reference is clearly below an arm."""
        return self.table.loc[arm, "high"] < 0 and self.table.loc[arm, "p_holm"] < LEVEL

    def outcome(self, arm: str) -> str:
        """Where the reference stands beside an arm."""
        return "ahead" if self.beats(arm) else "behind" if self.loses_to(arm) else NO_DIFFERENCE

    def difference(self, arm: str) -> str:
        """`hic .613, no_graph .604, difference .009 [-.021, .039]`, over the runs that both have."""
        ours, its = self.table.loc[arm, ["first_r", "second_r"]]
        return f"{self.reference} {_r(ours)}, {arm} {_r(its)}, difference {self._delta(arm)}"

    def beside_dilated(self) -> str:
        """The sentence about dilated convolutions, if they are there and not what the rules compare with already."""
        if not self.known(DILATED) or DILATED in self.baselines:
            return ""
        if self.same(DILATED):
            return f" Beside dilated convolutions: {self.changes_nothing(DILATED)}."
        return f" Beside dilated convolutions: {self.difference(DILATED)}, {self.outcome(DILATED)}."

    def _delta(self, arm: str) -> str:
        delta, low, high = self.table.loc[arm, ["delta", "low", "high"]]
        return _r(delta) if np.isnan(low) else f"{_r(delta)} [{_r(low)}, {_r(high)}]"

    def _corrected(self, arm: str) -> str:
        """Why the reference does not beat an arm though the interval is above zero; else nothing."""
        row = self.table.loc[arm]
        return f", p {_p(row['p_holm'])} after Holm's correction" if row["low"] > 0 else ""

    def _compared(self, arm: str) -> str:
        row = self.table.loc[arm]
        alone = row["left_out"] - row["undefined"]
        left_out = f", runs without a counterpart left out: {alone}" if alone else ""
        if row["undefined"]:
            left_out += f", pairs without a defined score, as where nothing is predicted, left out: {row['undefined']}"
        if arm in self.failed:
            left_out += f", runs of {arm} that failed: {self.failed[arm]}"
        p = "" if np.isnan(row["p"]) else f", p {_p(row['p'])}, {_p(row['p_holm'])} after Holm's correction"
        lost = self.comparison.unpredicted(self.reference, arm)
        left_out += f", points left out that some of them do not predict: {lost}" if lost else ""
        return f"{self.reference} - {arm}: {self._delta(arm)}{p}, over {row['pairs']} pairs of runs{left_out}"


def _would_tell(runs: tuple[int, int] | None) -> str:
    """The runs that `enough` found, in words."""
    if runs is None:
        return f"not even {MOST_SEEDS} seeds and {MOST_TIMES} times the held-out blocks would tell"
    seeds, times = runs
    more = f" and {times} times the held-out blocks" if times > 1 else ""
    return f"about {seeds} seeds{more} would tell"


def _r(value: float) -> str:
    """Three decimals without the zero before the point: `.610`, `-.020`."""
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 0.9995 else f"{value:.3f}"


def _p(value: float) -> str:
    return "< .001" if value < 0.001 else _r(value)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
