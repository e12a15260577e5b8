"""The docs name every key, option, arm and check, with the right defaults; their examples are read as they stand."""

from __future__ import annotations

import inspect
import re
import typing
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, TypeAdapter

from genograph.ablate.arms import ARMS, SHARED
from genograph.ablate.launchers import LAUNCHERS
from genograph.assays.assay import ASSAYS
from genograph.assays.targets import COLUMNS, REQUIRED, SUM_STATS, Target, read_targets
from genograph.audit import CHECKS
from genograph.config import ArmConfig, CoarseConfig, Config, EncoderConfig, NegativesConfig, parse_config
from genograph.config.components import _options_model
from genograph.graph import CONTROLS, EDGES
from genograph.nn.blocks import ConvSpec
from genograph.nn.encoders.recurrent import RecurrentSpec
from genograph.nn.heads import HEADS
from genograph.nn.layers import LAYERS
from genograph.nn.neighbours import NEIGHBOURS
from genograph.nn.trunk import Trunk
from genograph.overrides import apply_override
from genograph.sections import Section
from genograph.strategies import STUDIES
from tests.tiny import config_tree

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs" / "config.md").read_text()
ABLATION = (ROOT / "docs" / "ablation.md").read_text()
PAGES = {"config.md": DOCS, "ablation.md": ABLATION} | {
    path.name: path.read_text()
    for path in (ROOT / "docs" / name for name in ("deepcpg.md", "embeddings.md", "study.md", "../README.md"))
}
FILLED_IN = {("Config", "store"): "`stores/<name>`"}  # by `parse_config`, from the name


def section_class(annotation: typing.Any) -> type[Section] | None:
    classes = [each for each in (annotation, *typing.get_args(annotation)) if inspect.isclass(each)]
    return next((each for each in classes if issubclass(each, Section)), None)


SECTIONS = {name: section_class(field.annotation) for name, field in Config.model_fields.items()}
WITH_OPTIONS = {name: control for name, control in CONTROLS.items() if _options_model(control).model_fields}
COMPONENTS = EDGES | WITH_OPTIONS | EncoderConfig.contract.registry | NEIGHBOURS | LAYERS | HEADS | {"trunk": Trunk}
DOCUMENTED: dict[str, type[BaseModel]] = {
    "Config": Config,
    "blocks": ConvSpec,
    "arms": ArmConfig,
    "coarse": CoarseConfig,
    "negatives": NegativesConfig,
    "recurrent": RecurrentSpec,
    **{name: section for name, section in SECTIONS.items() if section is not None},
    **{name: _options_model(component) for name, component in COMPONENTS.items()},
}


def rows(text: str, first: str) -> dict[str, list[str]]:
    """The cells of the first table whose first column has this heading, by the name in that column."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.strip().startswith(f"| {first} |"):
            break
    found = {}
    for line in lines:
        if not line.strip().startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        found[cells[0].strip("`")] = cells
    found.pop("---", None)
    return found


def table(name: str) -> dict[str, list[str]]:
    """The table of keys below the heading that names a section or component."""
    parts = re.split(r"^#+ (.*)$", DOCS, flags=re.MULTILINE)
    texts = [text for heading, text in zip(parts[1::2], parts[2::2], strict=True) if f"`{name}`" in heading]
    assert len(texts) == 1, f"docs/config.md needs one heading with `{name}`, not {len(texts)}"
    return rows(texts[0], "key")


def choices(annotation: typing.Any) -> set[str]:
    if typing.get_origin(annotation) is typing.Literal:
        return set(typing.get_args(annotation))
    return {choice for part in typing.get_args(annotation) for choice in choices(part)}


def snippets(language: str) -> list:
    found = [
        pytest.param(text, id=f"{page}-{number}")
        for page, content in PAGES.items()
        for number, text in enumerate(re.findall(rf"^```{language}\n(.*?)^```", content, re.DOTALL | re.MULTILINE))
    ]
    assert found
    return found


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_key_is_documented_and_none_that_is_gone(name):
    assert list(table(name)) == list(DOCUMENTED[name].model_fields)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_default_and_choice_is_the_documented_one(name):
    for key, (_, kind, default, _) in table(name).items():
        field = DOCUMENTED[name].model_fields[key]
        if (name, key) in FILLED_IN:
            assert default == FILLED_IN[name, key], key
        elif field.is_required():
            assert default == "required", key
        elif isinstance(field.default, Section):
            assert default == "its defaults", key
            assert field.default == type(field.default)(), key
        else:
            documented = yaml.safe_load(default.strip("`"))
            assert TypeAdapter(field.annotation).validate_python(documented) == field.default, key
            assert isinstance(documented, bool) == isinstance(field.default, bool), key
        for choice in choices(field.annotation):
            assert f"`{choice}`" in kind, (key, choice)


def test_every_column_of_the_targets_table_is_documented_with_its_default():
    documented = rows(DOCS, "column")
    defaults = {field.name: field.default for field in fields(Target)}
    assert list(documented) == list(COLUMNS)
    for column, (_, cell, _) in documented.items():
        if column in REQUIRED:
            assert cell == "required"
        elif column != "index":
            default = defaults[column]
            expected = f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
            assert cell == (expected if default else "none"), column


def test_every_assay_and_sum_stat_is_documented():
    uncovered = {"count": "zero", "ratio": "missing", "statistic": "missing"}
    assert {name: cells[-1] for name, cells in rows(DOCS, "assay").items()} == {
        name: uncovered[assay.kind] for name, assay in ASSAYS.items()
    }
    assert list(rows(DOCS, "sum_stat")) == list(SUM_STATS)


def test_every_control_is_documented_and_none_that_is_gone():
    assert list(rows(DOCS, "control")) == list(CONTROLS)


def test_every_arm_of_an_ablation_is_documented_and_none_that_is_gone():
    assert list(rows(ABLATION, "arm")) == list(ARMS)


def test_what_all_arms_share_is_documented():
    (shared,) = re.findall(r"anything but what all share:\n([^.]*)\.", ABLATION)
    assert set(re.findall(r"`(\w+)`", shared)) == SHARED


def test_every_launcher_is_documented_and_none_that_is_gone():
    assert list(rows(ABLATION, "launcher")) == list(LAUNCHERS)


def test_every_table_of_a_study_is_documented_and_none_that_is_gone():
    assert list(rows(PAGES["study.md"], "table")) == list(STUDIES)


def test_every_check_of_the_audit_is_documented_and_none_that_is_gone():
    assert list(rows((ROOT / "docs" / "audit.md").read_text(), "check")) == list(CHECKS)


def test_arms_of_the_examples_change_something():
    trees = [yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", ABLATION, re.DOTALL | re.MULTILINE)]
    configs = [parse_config(config_tree() | tree) for tree in trees]
    arms = [(config, arm) for config in configs for arm in config.ablation.arms or [] if not isinstance(arm, str)]
    assert arms
    for config, arm in arms:
        tree = config.model_dump(mode="json")
        for change in arm.set:
            apply_override(tree, change)
        assert parse_config(tree) != config, arm.name


@pytest.mark.parametrize("text", snippets("yaml"))
def test_yaml_examples_are_valid_configs_once_completed(text):
    tree = yaml.safe_load(text)
    rest = config_tree()
    for section in ("genome", "tracks", "contacts", "splits") if "tfrecords" in tree else ():
        del rest[section]
    if "sites" in tree:
        del rest["contacts"], rest["tracks"]["genes"]
    config = parse_config(rest | tree)
    assert set(tree) <= set(config.model_dump())


@pytest.mark.parametrize("text", snippets("tsv"))
def test_the_example_targets_table_is_read(text, tmp_path):
    (tmp_path / "targets.tsv").write_text(text)
    names = [line.split("\t")[2] for line in text.splitlines()[1:]]
    for name in names:
        (tmp_path / name).touch()
    assert [target.file.name for target in read_targets(tmp_path / "targets.tsv")] == names


def anchors(page: Path) -> set[str]:
    """What a link to a heading of a page may end in, as GitHub makes it of the heading."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


LINKING = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.name)
def test_every_page_and_heading_that_a_page_links_to_exists(page):
    for target, anchor in re.findall(r"\]\(([^)#:]*)#?([^)#:]*)\)", page.read_text()):
        other = page.parent / target if target else page
        assert other.is_file(), target
        assert not anchor or anchor in anchors(other), (target, anchor)
