"""The command line: verbs to functions, nothing else.

Heavy imports wait until a verb runs, so that `genograph --help` answers at once.
"""

from __future__ import annotations

import logging
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genograph import __version__
from genograph.errors import InputError
from genograph.processes import is_first

if TYPE_CHECKING:
    from genograph.store import Store

UsageError = typer.BadParameter.__base__  # of unknown options and missing arguments too; typer has no name for it

app = typer.Typer(
    name="genograph",
    help="Graph neural networks for genomes: from sequence, contacts and tracks to predictions.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Where = Annotated[Path, typer.Argument(metavar="CONFIG_OR_RUN", help="A YAML config, or a run folder.")]
Overrides = Annotated[list[str] | None, typer.Argument(metavar="[section.key=value]...", help="Changes to the config.")]
GOES_ON = ("download", "prepare", "embed", "ablate", "study")  # verbs that, given again, take up what is done
CLIPPED = ("missing", "soft_clipped", "clipped")  # what `prepare` tells of a track
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Where to write; each verb says its default.")]
Genome = Annotated[str | None, typer.Option("--genome", help="Of a run of several genomes, which one (default: all).")]
OneGenome = Annotated[str | None, typer.Option("--genome", help="Which one, of a config or run of several genomes.")]
Runs = Annotated[int | None, typer.Option("--workers", "-j", min=1, help="Runs at a time (default: one a core).")]
Workers = Annotated[int, typer.Option("--workers", "-j", min=1, help="Processes that share out the windows.")]


@app.callback(invoke_without_command=True)
def _main(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(f"genograph {__version__}")
        raise typer.Exit


@app.command()
def download(config: Where, overrides: Overrides = None) -> None:
    """Fetch the files that a config lists under downloads; a download that was stopped goes on."""
    from genograph.config import load_config
    from genograph.download import download

    for result in download(load_config(config, overrides or [])):
        print(f"{'fetched' if result.fetched else 'there':<10} {result.file}")


@app.command()
def prepare(config: Where, overrides: Overrides = None) -> None:
    """Read genome, tracks and contacts once into a store, and build the graph over it (default: stores/NAME)."""
    from genograph.config import load_config
    from genograph.config_check import check_contacts
    from genograph.experiment import Experiment
    from genograph.prepare import prepare

    settings = load_config(config, overrides or [])
    for genome in settings.genomes or [None]:
        one = settings.of(genome)
        check_contacts(one)
        store = prepare(one)
        _tell_store(store)
        for graph in Experiment(one, store).built_levels if one.graph.edges else ():  # large ones are kept
            edges = f"{graph.num_edges // 2:,} pairs of nodes of {graph.nodes.length}"
            print(f"graph      {edges}: {', '.join(graph.edge_types) or 'none'}")


def _tell_store(store: Store) -> None:
    print(f"store      {store.path}")
    print(f"genome     {len(store.sizes)} chromosomes, {sum(store.sizes.values()):,} bp")
    print(f"bins       {len(store.bins):,} of {store.bins.bin_size:,} bp, {int(store.mask.sum()):,} usable")
    print(f"nodes      {len(store.nodes):,} of {store.nodes.length}")
    reports = {report["identifier"]: report for report in store.manifest["clip_report"]}
    for assay, targets in store.targets.items():
        for column, target in enumerate(targets):
            told = reports.get(target.identifier) or {"missing": store.missing(assay, column)}  # a ratio is not clipped
            counts = (f"{told[key]:,} bins {key.replace('_', ' ')}" for key in CLIPPED if key in told)
            print(f"track      {target.identifier}: {', '.join(counts)}")
    if store.contacts is not None:
        print(f"contacts   {len(store.contacts):,} pairs, {int(store.contacts.masked.sum()):,} nodes masked")


@app.command()
def train(
    config: Where,
    overrides: Overrides = None,
    out: Out = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last finished epoch.")] = False,
) -> None:
    """Fit a model (default: into runs/NAME)."""
    from genograph.config import load_config
    from genograph.train import train

    if out is None and config.is_dir():
        out = config
    settings = load_config(config, overrides or [])
    try:
        run = train(settings, out, resume=resume)
    except KeyboardInterrupt:
        folder = out or Path("runs") / settings.name
        if not (folder / "config.yaml").is_file():  # so early that there is no run yet
            raise
        print(f"genograph: stopped. Go on: genograph train {folder} --resume", file=sys.stderr)
        sys.exit(130)
    if is_first():
        print(f"model      {run / 'model.safetensors'}")
        print(f"next       genograph evaluate {run}; genograph predict {run}")


@app.command()
def evaluate(
    run: Where, overrides: Overrides = None, out: Out = None, genome: Genome = None, workers: Workers = 1
) -> None:
    """Score a trained run on held-out sequence (default: tables into the run)."""
    from genograph.config import load_config
    from genograph.evaluate import evaluate, summarize, table_folders

    config = load_config(run, overrides or [])
    _end_tidily()
    evaluate(run, out, config=config, genome=genome, workers=workers)
    for name, folder in table_folders(run, out, config, genome).items() if is_first() else ():
        if name is not None:
            print(f"genome     {name}")
        print(summarize(folder).to_string(index=False, float_format="{:.3f}".format, na_rep="nan"))
        print(f"tables     {folder / 'accuracy.tsv'} and beside it")


@app.command()
def predict(
    run: Where, overrides: Overrides = None, out: Out = None, genome: Genome = None, workers: Workers = 1
) -> None:
    """Predict whole chromosomes, one bigWig a track (default: RUN/predictions)."""
    from genograph.config import load_config
    from genograph.predict import predict

    _end_tidily()
    config = load_config(run, overrides or [])
    folder = predict(run, out, config=config, genome=genome, workers=workers)
    names = f"{genome or '*'}/*.bw" if config.genomes else "*.bw"
    for path in sorted(folder.glob(names)) if is_first() else ():
        print(f"bigWig     {path}")


@app.command()
def embed(
    run: Where,
    overrides: Overrides = None,
    out: Out = None,
    dtype: Annotated[str, typer.Option("--dtype", help="float32, or float16 for half the size.")] = "float32",
    genome: Genome = None,
) -> None:
    """Encode every bin once with a run's encoder, for models that read embeddings (default: into RUN/embeddings)."""
    from genograph.config import load_config
    from genograph.embed import embed, to_read

    config = load_config(run, overrides or [])
    for each in [genome] if genome is not None else [*config.genomes] or [None]:
        path = embed(run, out, config=config, dtype=dtype, genome=each)
        print(f"embeddings {path}")
        one = f"CONFIG_OF_{each}" if each else "CONFIG"
        print(f"next       genograph train {one} --out NEW_RUN {shlex.join(to_read(path, config.of(each)))}")


@app.command()
def ablate(
    config: Where,
    overrides: Overrides = None,
    out: Out = None,
    launcher: Annotated[str, typer.Option("--launcher", help="local, slurm (submitit) or ray.")] = "local",
    workers: Runs = None,
    genome: OneGenome = None,
) -> None:
    """Compare a config with its controls and say whether contacts help (default: into runs/NAME-ablation)."""
    from genograph.ablate import RunsFailed, ablate
    from genograph.config import load_config

    settings = load_config(config, overrides or []).of(genome)
    folder = out or Path("runs") / f"{settings.name}-ablation"
    failed = None
    try:
        verdict = ablate(settings, folder, launcher=launcher, workers=workers)
    except RunsFailed as error:
        verdict, failed = error.verdict, error
    print(verdict.sentence)
    print(f"judged on {verdict.judged}")
    for reason in verdict.reasons:
        print(f"  - {reason}")
    for warning in verdict.warnings:
        print(f"warning    {warning}")
    print(f"report     {folder / 'report.html'}")
    if failed:
        print(f"genograph: {failed}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def study(
    table: Annotated[
        str,
        typer.Argument(metavar="TABLE", help="negatives, reverse-complement, multitask, architectures or pretraining."),
    ],
    config: Where,
    overrides: Overrides = None,
    out: Out = None,
    workers: Runs = None,
    genome: OneGenome = None,
) -> None:
    """Compare strategies of training classifiers of sites, a table each (default: into runs/NAME-study)."""
    from genograph.config import load_config
    from genograph.strategies import study

    found = study(table, load_config(config, overrides or []).of(genome), out, workers=workers)
    print(f"{found.text}\n\ntable      {found.file}")
    if found.failed:
        runs = f"{len(found.failed)} run{'s' * (len(found.failed) > 1)}"
        print(f"genograph: {runs} failed. {found.failed[0]}", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def graph(config: Where, overrides: Overrides = None, out: Out = None, genome: OneGenome = None) -> None:
    """Describe a config's graph, and write it with --out FILE.bedpe or FILE.graphml."""
    from genograph.config import load_config
    from genograph.describe import graph

    for number, level in enumerate(graph(load_config(config, overrides or []).of(genome), out)):
        summary = level.summary()
        if number:
            print(f"level {number}, nodes of {level.nodes.length}")
        for kind, edges in summary.pop("edges").items():
            print(f"{kind}: {edges['pairs']:,} pairs, {edges['between_chromosomes']:,} of them between chromosomes")
            for quantity, quantiles in (("degree", edges["degree"]), ("distance in bp", edges["distance"])):
                print(f"  {quantity}, min to max by quarters: {'  '.join(f'{each:,.0f}' for each in quantiles)}")
        print(", ".join(f"{name} {count:,}" for name, count in summary.items()))
    if out is not None:
        print(f"graph      {out}")


@app.command()
def export(
    config: Where,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = ...,
    genome: OneGenome = None,
) -> None:
    """Write a config's windows as TFRecords in the layout of Basenji and Baskerville, into --out FOLDER."""
    from genograph.config import load_config
    from genograph.export import export

    print(f"records    {export(load_config(config, overrides or []).of(genome), out)}")


@app.command()
def export_model(
    run: Where,
    overrides: Overrides = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder to write.")] = ...,
    genome: OneGenome = None,
) -> None:
    """Write a trained model as a program that runs without genograph, into --out FOLDER."""
    from genograph.config import load_config
    from genograph.export_model import export_model

    folder = export_model(run, out, config=load_config(run, overrides or []), genome=genome)
    print(f"model      {folder / 'model.pt2'}")
    print(f"next       python {folder / 'example.py'}")


@app.command()
def models(
    config: Annotated[
        Path | None, typer.Argument(metavar="[CONFIG_OR_RUN]", help="Default: all that are shipped.")
    ] = None,
    overrides: Overrides = None,
) -> None:
    """List models with parameters, receptive field in bp and source."""
    from genograph.config import load_config
    from genograph.describe import models

    print(models(config and [load_config(config, overrides or [])]).to_string(index=False))


@app.command()
def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="[key=value]...", help="See docs/simulate.md.")
    ] = None,
) -> None:
    """Write a genome whose truth is known, with tracks, contacts and two ready configs."""
    from genograph.simulate import simulate

    folder = simulate(out, settings or [])
    print(f"world      {folder}")
    print(f"ceiling    {folder / 'truth' / 'ceilings.tsv'}")
    print(f"next       genograph train {folder / 'graph.yaml'}; genograph train {folder / 'basenji.yaml'}")


def _end_tidily() -> None:
    """Leave no scratch behind when told to end, as torchrun and SLURM tell their processes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def main() -> None:
    """Run a verb; a mistake in the input, or on the command line, ends it with one line and exit code 2."""
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    logging.getLogger("genograph").setLevel(logging.INFO if is_first() else logging.WARNING)
    try:
        code = app(prog_name="genograph", standalone_mode=False)
        if code == 130:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        sys.exit(code)
    except UsageError as error:
        if len(sys.argv) == 1:  # then it is the help
            error.show()
        else:
            told = error.format_message()
            end = "" if told[-1] in ".?" else "."
            print(f"genograph: {told}{end} See {error.ctx.command_path} --help", file=sys.stderr)
        sys.exit(2)
    except InputError as error:
        print(f"genograph: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a folder that is a file, a full disk, a path that cannot be written
        told = f"{error.filename}: {error.strerror}." if error.filename and error.strerror else str(error)
        print(f"genograph: {' '.join(told.split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        goes_on = any(verb in GOES_ON for verb in sys.argv[1:2])
        print(f"genograph: stopped.{' The same command goes on.' if goes_on else ''}", file=sys.stderr)
        sys.exit(130)
