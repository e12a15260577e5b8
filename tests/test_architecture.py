from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import genograph

ROOT = Path(genograph.__file__).parent

# A module imports what stands below it, or its own package; nothing above.
ORDER = (
    "__main__",
    "cli",
    "strategies",
    "ablate",
    "report",
    "charts",
    "describe",
    "export",
    "export_model",
    "deepcpg",
    "audit",
    "embed",
    "seen_before",
    "evaluate",
    "predict",
    "train",
    "processes",
    "trainer",
    "metrics_table",
    "card",
    "baselines",
    "annotated",
    "checkpoint",
    "joint",
    "experiment",
    "config_check",
    "splits",
    "download",
    "prepare",
    "dataset",
    "simulate",
    "config",
    "overrides",
    "sections",
    "ported",
    "stored_encoder",
    "weights",
    "nn",
    "kmer",
    "statistics",
    "metrics",
    "graph",
    "embeddings",
    "rebuild",
    "store",
    "assays",
    "genome",
    "atomic",
    "errors",
)
FILES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
TREES = {module: ast.parse(path.read_text()) for module, path in FILES.items()}
WITHOUT_TORCH = [name for name in FILES if name.split(".")[1:2] in (["genome"], ["assays"], ["store"], ["errors"])]


def part(module):
    """The package or module right below `genograph`; empty for `genograph` itself."""
    return ([*module.split("."), ""])[1]


def imported(module):
    """Full names of all that a module imports, at its top or in a function."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in FILES else node.module for name in names)


def imported_from_here(module):
    return {name for name in imported(module) if name in FILES} - {"genograph"}


def imports_torch(code):
    """Whether torch is there after a program has run."""
    code = f"import sys; {code}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {"True": True, "False": False}[done.stdout.splitlines()[-1]]


def test_the_order_lists_every_part_of_the_package():
    assert sorted(ORDER) == sorted({part(module) for module in FILES} - {""})


@pytest.mark.parametrize("module", FILES)
def test_imports_point_down(module):
    own = part(module)
    below = ORDER[ORDER.index(own) :] if own else ()
    assert {name for name in imported_from_here(module) if part(name) not in below} == set()


def test_no_two_modules_import_each_other():
    tuple(TopologicalSorter({module: imported_from_here(module) for module in FILES}).static_order())


@pytest.mark.parametrize("module", [module for module in FILES if part(module) == "nn"])
def test_networks_see_tensors_and_batches_but_never_a_file(module):
    outside = {name for name in imported_from_here(module) if part(name) != "nn"}
    assert outside <= {"genograph.errors", "genograph.graph.batch"}
    assert not {"os", "pathlib", "io"} & {name.split(".")[0] for name in imported(module)}


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_what_reads_files_never_imports_torch(module):
    assert not {"torch", "torch_geometric", "pytorch_lightning"} & {name.split(".")[0] for name in imported(module)}


def test_a_store_is_opened_without_torch():
    assert not imports_torch(f"import {', '.join(WITHOUT_TORCH)}")


def test_the_simulation_is_imported_without_torch():
    assert not imports_torch("import genograph.simulate")  # so its settings are read beside `config`, not in it


def test_help_answers_without_torch():
    assert not imports_torch("from genograph.cli import app; app(['--help'], standalone_mode=False)")
    assert imports_torch("import genograph.config")  # the check can tell


@pytest.mark.parametrize("module", FILES)
def test_only_the_command_line_parses_arguments(module):
    assert module == "genograph.cli" or not {"typer", "click", "argparse"} & set(imported(module))


@pytest.mark.parametrize("module", [module for module, path in FILES.items() if path.name == "__init__.py"])
def test_an_init_hands_names_on_or_holds_a_registry(module):
    for node in TREES[module].body:
        is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        is_names = isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict | ast.List)
        is_version = isinstance(node, ast.Assign) and ast.unparse(node) == "__version__ = version('genograph')"
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        is_lazy = (
            module == "genograph" and isinstance(node, ast.FunctionDef) and node.name in ("__getattr__", "__dir__")
        )
        assert is_docstring or is_names or is_version or is_import or is_lazy, ast.unparse(node)


@pytest.mark.parametrize("module", FILES)
def test_a_module_is_named_by_what_it_does_and_short_enough_to_read(module):
    assert not {"utils", "util", "common", "misc", "base", "helpers"} & set(module.split("."))
    assert len(FILES[module].read_text().splitlines()) <= 350
