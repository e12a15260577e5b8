"""Tables as they are printed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from genograph.strategies.scores import MEAN, TOGETHER
from genograph.strategies.tables import markdown


def row(variant, task, *, test="", auprc=0.5, half=0.02, models=1, parameters=1234.0):
    values = {
        key: value
        for name, mean in {"auroc": 0.75, "auprc": auprc, "recall": 0.25, "epoch": 3.5}.items()
        for key, value in {name: mean, f"{name}_low": mean - half, f"{name}_high": mean + half}.items()
    }
    told = {"variant": variant, "test": test, "task": task, "seeds": 2, "sites": 8, "positives": 2}
    return told | {"models": models, "parameters": parameters} | values


def test_a_row_has_every_measure_with_its_interval_and_the_parameters_of_its_models():
    tasks = ["a", "b", MEAN, TOGETHER]
    table = pd.DataFrame([row("single", task, models=2) for task in tasks] + [row("multi", task) for task in tasks])
    lines = markdown(table).splitlines()
    assert lines[0] == ("| mean over 2 tasks | AUPRC | AUROC | recall at 5 % FDR | stopping epoch | parameters |")
    assert lines[2] == "| single | 0.500 ± 0.020 | 0.750 ± 0.020 | 0.250 ± 0.020 | 3.5 ± 0.0 | 2 x 1,234 |"
    assert lines[3].endswith("| 1,234 |")
    assert lines[5].startswith("| all tasks together | AUPRC |")
    assert lines[-1] == "Mean over 2 seeds ± half the width of its 95 % interval (t)."


def test_the_mean_is_said_to_be_of_the_tasks_that_can_be_judged():
    rows = [row("multi", task) for task in ("a", "b", "c", MEAN, TOGETHER)]
    rows[2]["positives"] = 0
    assert markdown(pd.DataFrame(rows)).startswith("| mean over 2 tasks |")
    rows[1]["positives"] = rows[1]["sites"]
    assert markdown(pd.DataFrame(rows)).startswith("| one task |")


def test_what_is_not_defined_is_a_dash_and_one_seed_has_no_interval():
    table = pd.DataFrame([row("forest", MEAN, auprc=np.nan, half=np.nan, parameters=np.nan) | {"seeds": 1}])
    lines = markdown(table).splitlines()
    assert lines[2] == "| forest | \N{EN DASH} | 0.750 | 0.250 | 3.5 | \N{EN DASH} |"
    assert lines[-1] == "One seed."


def test_several_tests_make_a_matrix_of_auprc_beside_chance():
    rows = [row(variant, MEAN, test=test) for variant in ("near", "far") for test in ("near", "far")]
    lines = markdown(pd.DataFrame(rows)).splitlines()
    assert lines[0] == "| trained with (AUPRC, one task) | judged on near | judged on far |"
    assert lines[2] == "| near | 0.500 ± 0.020 | 0.500 ± 0.020 |"
    assert lines[4] == "| *by chance* | 0.250 | 0.250 |"
