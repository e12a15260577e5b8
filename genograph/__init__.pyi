from genograph.checkpoint import load_run as load_run
from genograph.config import load_config as load_config
from genograph.embeddings import save_embeddings as save_embeddings
from genograph.errors import InputError as InputError
from genograph.experiment import Experiment as Experiment
from genograph.genome.bins import Bins as Bins
from genograph.genome.regions import Regions as Regions
from genograph.genome.sites import Sites as Sites
from genograph.graph.building import Known as Known
from genograph.graph.export import write_graph as write_graph
from genograph.graph.genome_graph import Edges as Edges
from genograph.graph.genome_graph import GenomeGraph as GenomeGraph
from genograph.graph.interchange import from_networkx as from_networkx
from genograph.graph.interchange import from_pandas as from_pandas
from genograph.graph.interchange import from_pyg as from_pyg
from genograph.graph.interchange import from_scipy as from_scipy
from genograph.graph.interchange import to_networkx as to_networkx
from genograph.graph.interchange import to_pyg as to_pyg
from genograph.nn.encoders.module import ModuleEncoder as ModuleEncoder
from genograph.nn.heads import Head as Head
from genograph.nn.layers.graph_block import GraphBlock as GraphBlock
from genograph.weights import load_weights as load_weights

__version__: str
