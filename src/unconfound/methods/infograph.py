"""InfoGraph: a node and the graph that it is part of tell of each other."""

from __future__ import annotations

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from unconfound.data import Batch, Graphs, Schema
from unconfound.encoders import GIN, Encoder, Normalized
from unconfound.functional.distributed import gather, world
from unconfound.functional.inputs import wide
from unconfound.functional.mutual_information import jensen_shannon_loss
from unconfound.methods.method import Method, Step
from unconfound.options.methods.infograph import InfoGraphOptions


@final
class InfoGraph(Method):
    """A node scores high with its own graph and low with the other graphs of the batch. Needs no labels.

    Sun et al., "InfoGraph: Unsupervised and Semi-supervised Graph-Level Representation Learning via Mutual Information
    Maximization", ICLR 2020: the baseline of DACL's graph experiments. A score is the inner product of F(node) and
    G(graph), two networks of one form; the loss is the Jensen-Shannon estimate of their mutual information. The code's
    term for a prior, off by default there, is left out; and it is these two networks that get Xavier weights and zero
    biases, the encoder keeps its own.
    """

    name = "infograph"
    Options = InfoGraphOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: InfoGraphOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or InfoGraphOptions()
        if schema.modality != "graphs":
            raise ValueError(
                f"infograph compares nodes with graphs, the data are {schema.modality}: use dacl, which takes any data"
            )
        network = encoder.wrapper(Normalized).network
        if not isinstance(network, GIN):
            raise ValueError(f"infograph needs the nodes' embeddings of gin, got {type(network).__name__}")
        self.encoder = encoder
        width = options.discriminator_features or encoder.features
        self.of_nodes = Discriminator(encoder.features, width, layers=options.discriminator_layers)
        self.of_graphs = Discriminator(encoder.features, width, layers=options.discriminator_layers)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        normalized = self.encoder.wrapper(Normalized)
        inputs = normalized.normalize(batch.inputs)
        if not isinstance(inputs, Graphs):
            raise TypeError(f"infograph takes a batch of graphs, got {type(inputs).__name__}")
        nodes, row_of_node, graphs = normalized.network.nodes_and_graphs(inputs)  # type: ignore[operator]
        rank, processes = world()
        if len(graphs) * processes < 2:
            raise ValueError("infograph tells the graphs of a batch apart, and this batch holds one: use at least two")
        first, second = self.of_nodes(nodes), self.of_graphs(graphs)
        with torch.autocast(nodes.device.type, enabled=False):
            # Sums over many nodes make scores that are too large for half precision.
            scores = wide(first) @ gather(wide(second)).T
        own = inputs.graph_of_node() + rank * len(graphs)
        return Step(jensen_shannon_loss(scores[row_of_node], own), embeddings=graphs.detach().float())


class Discriminator(nn.Module):
    """Linear layers with a ReLU after each, plus a linear shortcut: F(u) = MLP(u) + W u.

    Args:
        features: of the input.
        width: of every layer, and so of the output.
        layers: at least 1.
    """

    def __init__(self, features: int, width: int, *, layers: int) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        for layer in range(layers):
            modules += [nn.Linear(features if layer == 0 else width, width), nn.ReLU()]
        self.layers, self.shortcut = nn.Sequential(*modules), nn.Linear(features, width)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, rows: Float[Tensor, "rows features"]) -> Float[Tensor, "rows width"]:
        out: Tensor = self.layers(rows) + self.shortcut(rows)
        return out
