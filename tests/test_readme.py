from __future__ import annotations

import re
from pathlib import Path

from genograph import cli

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_ci_runs_exactly_the_test_command_of_the_readme():
    command = re.search(r"## Tests\n\n```sh\n(.*)\n```", README)[1]
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


def test_the_readme_shows_every_verb():
    verbs = [command.callback.__name__.replace("_", "-") for command in cli.app.registered_commands]
    assert verbs == re.findall(r"\| `genograph ([\w-]+)", README)
