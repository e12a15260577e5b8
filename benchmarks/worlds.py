"""Is the verdict of an ablation right? Worlds whose truth is known, each with its arms and seeds; prints markdown.

    python benchmarks/worlds.py --seeds 5
    python benchmarks/worlds.py --repeat 20 --seeds 3 --worlds null --size 4000000

The second line tells how often a null is called one. A world is simulated once, its ablation goes on where it was
stopped. `--set` changes the configs, `--size` the worlds.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from genograph.ablate import ablate
from genograph.config import load_config
from genograph.errors import InputError
from genograph.simulate import simulate

ARMS = "[hic, features_only, rewired, distance_matched, basenji]"
REFUSED = "the audit refuses"


@dataclass(frozen=True)
class World:
    """A world and the verdict that is right for it."""

    settings: tuple[str, ...]
    expected: str
    changes: tuple[str, ...] = ()


LEAKY_MAP = ("mappability_leak=true", "effect_scale=0")
# A mean over neighbours hides how many there are, so it does not fall for the leak.
SUM = "{name: sage, aggregate: sum, dropout: 0.1}"
SUMS = (f"model.processor.0={SUM}", f"model.processor.2={SUM}")
WORLDS = {
    "effects": World((), "contacts help"),
    "null": World(("effect_scale=0",), "no difference found"),
    "degree": World(("degree_leak=true",), "degree explains it", SUMS),
    "mappability-unmasked": World(LEAKY_MAP, REFUSED, ("contacts.mask=false",)),
    "mappability-masked": World(LEAKY_MAP, "no difference found"),
}


def judge(name: str, number: int, arguments: argparse.Namespace) -> dict[str, object]:
    """The verdict on one world, beside the one that is right."""
    world = WORLDS[name]
    folder = arguments.out / f"{name.partition('-')[0]}-{number}"
    if not folder.is_dir():
        simulate(folder, [f"seed={number}", f"size={arguments.size}", f"chroms={arguments.chroms}", *world.settings])
    folder = folder.resolve()
    # A mask changes the store, so each has its own.
    changes = [f"store={folder / f'store-{name}'}", f"graph.candidates={folder / 'elements.bed'}"]
    changes += [f"ablation.arms={arguments.arms}", f"ablation.seeds={arguments.seeds}", f"seed={100 * number}"]
    config = load_config(folder / "graph.yaml", [*changes, *world.changes, *arguments.overrides])
    try:
        said = ablate(config, folder / f"ablation-{name}", workers=arguments.workers)
    except InputError as error:
        if "the audit found" not in str(error):
            raise
        return {"world": name, "expected": world.expected, "verdict": REFUSED, "said": str(error).split(". ")[0]}
    return {"world": name, "expected": world.expected, "verdict": said.label, "said": said.sentence}


def table(rows: list[dict[str, object]]) -> str:
    """Markdown."""
    frame = pd.DataFrame(rows)
    lines = [list(frame.columns), ["---"] * frame.shape[1], *frame.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=list(WORLDS))
    parser.add_argument("--repeat", type=int, default=1, help="worlds of each kind, of seeds 0, 1, ...")
    parser.add_argument("--seeds", type=int, default=5, help="of each arm")
    parser.add_argument("--arms", default=ARMS)
    parser.add_argument("--size", type=int, default=20_000_000, help="bp of a world")
    parser.add_argument("--chroms", type=int, default=10)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--out", type=Path, default=Path("runs/worlds"))
    parser.add_argument("--set", action="append", default=[], metavar="section.key=value", dest="overrides")
    arguments = parser.parse_args()
    rows = [judge(name, number, arguments) for name in arguments.worlds for number in range(arguments.repeat)]
    print(table(rows))


if __name__ == "__main__":
    main()
