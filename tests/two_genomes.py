"""Two tiny genomes and a config of both: what tests of a model that several genomes share run on."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests import tiny

OWN = ("genome", "tracks", "contacts", "splits")
OTHER_TRACKS = (
    "index\tidentifier\tfile\tsum_stat\tstrand_pair\tassay\tstrand\tdescription\n"
    "0\tgc\tgc.bw\tmean\t\tcoverage\t.\tGC content\n"
    "1\tfwd\tfwd.bw\tmean\t\tcoverage\t.\tC content\n"
)


def write_genomes(folder: Path) -> Path:
    """Write the tiny genome as `human` and another as `mouse`, with two tracks of coverage; returns a config of both.

    Beside it stand `human/tiny.yaml` and `mouse/tiny.yaml`, of each by itself.
    """
    for number, genome in enumerate(("human", "mouse")):
        (folder / genome).mkdir()
        tiny.write_world(folder / genome, seed=number)
    (folder / "mouse" / "targets.tsv").write_text(OTHER_TRACKS)
    alone = tiny.config_tree()
    alone["model"]["heads"], alone["tracks"] = {"coverage": {}}, {"targets": "targets.tsv"}
    (folder / "mouse" / "tiny.yaml").write_text(yaml.safe_dump(alone, sort_keys=False))
    path = folder / "both.yaml"
    path.write_text(yaml.safe_dump(config_tree(), sort_keys=False))
    return path


def config_tree() -> dict:
    """The config of both, as a nested dict with paths relative to its folder."""
    tree = tiny.config_tree()
    del tree["store"]
    own = {name: tree.pop(name) for name in OWN}
    del own["tracks"]["genes"]
    genomes = {
        genome: {
            "genome": {"fasta": f"{genome}/genome.fa"},
            "tracks": {"targets": f"{genome}/targets.tsv"},
            "contacts": {"file": f"{genome}/map.cool"},
            "splits": own["splits"],
        }
        for genome in ("human", "mouse")
    }
    genomes["mouse"]["heads"] = {"coverage": {}}
    return {**tree, "name": "both", "store": "stores", "genomes": genomes}
