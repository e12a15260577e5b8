"""What a processor is made of: layers that take bins to bins, along the sequence or over the graph."""

from genograph.nn.layers.bilstm import BiLSTM
from genograph.nn.layers.dense import Dense
from genograph.nn.layers.dilated import Dilated, DilatedDense
from genograph.nn.layers.gat import GAT
from genograph.nn.layers.gated_gcn import GatedGCN
from genograph.nn.layers.gcn import GCN
from genograph.nn.layers.sage import SAGE
from genograph.nn.layers.transformer import GraphTransformer

LAYERS = {
    "dilated": Dilated,
    "dilated_dense": DilatedDense,
    "bilstm": BiLSTM,
    "dense": Dense,
    "gcn": GCN,
    "sage": SAGE,
    "gat": GAT,
    "transformer": GraphTransformer,
    "gated_gcn": GatedGCN,
}
