"""The config of a run, checked before anything is read or written: `load_config` reads it, `Config` is all of it."""

from genograph.config.data import ContactsConfig, GenomeConfig, NegativesConfig, SitesConfig, SplitsConfig
from genograph.config.graph_and_model import (
    CoarseConfig,
    EdgeConfig,
    EncoderConfig,
    LayerConfig,
    ModelConfig,
    NeighboursConfig,
)
from genograph.config.tree import (
    ArmConfig,
    AugmentConfig,
    BatchConfig,
    Config,
    DownloadConfig,
    StudyConfig,
    TrainingConfig,
    changed_keys,
    load_config,
    parse_config,
)

__all__ = [
    "ArmConfig",
    "AugmentConfig",
    "BatchConfig",
    "CoarseConfig",
    "Config",
    "ContactsConfig",
    "DownloadConfig",
    "EdgeConfig",
    "EncoderConfig",
    "GenomeConfig",
    "LayerConfig",
    "ModelConfig",
    "NegativesConfig",
    "NeighboursConfig",
    "SitesConfig",
    "SplitsConfig",
    "StudyConfig",
    "TrainingConfig",
    "changed_keys",
    "load_config",
    "parse_config",
]
