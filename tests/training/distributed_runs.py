"""Short runs of `fit` that one process and two must end with equal weights. A script for torchrun, and a module."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from training.toy import (
    convnet,
    dataset_of,
    graph_source,
    image_source,
    masked_source,
    options,
    row_source,
    text_source,
)
from training.toy_methods import BetweenEpochs, Drawing, Interrupted, Queue, TwoPhase, TwoPhaseOptions, Wrapping
from unconfound.data.tables.nuisance_columns import NuisanceColumns
from unconfound.encoders import build_encoder
from unconfound.functional.distributed import world
from unconfound.methods import DACL, DCML, DFR, JTT, Gaussian, GroupDRO, Metric, Random, SimCLR, SimCLRDACL, Supervised
from unconfound.methods.dacl import DACLOptions
from unconfound.methods.dfr import DFROptions
from unconfound.methods.gaussian import GaussianOptions
from unconfound.methods.metric.metric import MetricOptions
from unconfound.methods.supervised import SupervisedOptions
from unconfound.options.methods.dcml import DCMLOptions
from unconfound.training import fit

SOURCE = image_source(48)
SGD = {"optimizer": "sgd", "learning_rate": 0.05}
PLUS = DACLOptions(functions=("linear", "geometric", "binary"))
ONE_UPDATE = {"epochs": 1, "batch_size": 48}


def _make(kind, given=None):
    return kind(convnet(SOURCE), SOURCE.schema, given).double()


def _dacl_on(source):
    torch.manual_seed(0)
    return DACL(build_encoder("auto", source.schema, width=8, depth=2), source.schema).double()


# All others learn from SOURCE.
GROUPED = replace(
    SOURCE, schema=replace(SOURCE.schema, groups=("left", "right", "up")), groups=torch.arange(48) ** 2 % 5 % 3
)
SOURCES = {"dacl, on graphs": graph_source(48), "dacl, on texts": text_source(48), "group-dro": GROUPED, "dfr": GROUPED}
SOURCES |= dict.fromkeys(("supervised, exchanged", "simclr, exchanged"), masked_source(48))
SOURCES["dacl, exchanged rows"] = replace(
    row_source(48), nuisance=NuisanceColumns("the column c", torch.arange(6) == 2)
)
EXCHANGE = {"exchange": 0.8, "exchange_rim": 1, "exchange_soft_edge": 1.0}


# name: (method, training options, forward passes after which the run is asked to stop and goes on)
RUNS = {
    "simclr, one update": (lambda: _make(SimCLR), SGD | ONE_UPDATE, None),
    "simclr": (lambda: _make(SimCLR), SGD, None),
    "simclr, adamw, clipped, average": (lambda: _make(SimCLR), {"gradient_clip": 0.1, "ema_decay": 0.8}, None),
    "simclr, best kept": (lambda: _make(SimCLR), SGD | {"select_every": 1, "epochs": 3}, 5),
    "simclr, lars, accumulated": (lambda: _make(SimCLR), {"optimizer": "lars", "accumulate": 3}, None),
    "supervised, one update": (lambda: _make(Supervised), SGD | ONE_UPDATE, None),
    "supervised, exchanged": (lambda: _make(Supervised), SGD | EXCHANGE, 4),
    "simclr, exchanged": (lambda: _make(SimCLR), SGD | EXCHANGE | {"accumulate": 3}, None),
    "dacl, exchanged rows": (lambda: _dacl_on(SOURCES["dacl, exchanged rows"]), SGD | {"exchange": 0.8}, None),
    "supervised, augmented": (lambda: _make(Supervised, SupervisedOptions(augment=True)), SGD, None),
    "supervised, vib, augmented": (lambda: _make(Supervised, SupervisedOptions(augment=True, vib=True)), SGD, None),
    "group-dro": (lambda: GroupDRO(convnet(GROUPED), GROUPED.schema).double(), SGD, 4),
    "dfr": (lambda: DFR(convnet(GROUPED), GROUPED.schema, DFROptions(draws=2)).double(), SGD, None),
    "jtt": (lambda: _make(JTT), SGD, 5),
    # Environments are learnt once: Adam, at their learning rate, makes more of a difference in the last digit.
    "dcml": (lambda: _make(DCML, DCMLOptions(instances=8)), SGD, 5),
    "metric": (lambda: _make(Metric, MetricOptions(loss="multi-similarity", instances=8)), SGD, 4),
    "drawing": (lambda: _make(Drawing), SGD, 4),
    "dacl": (lambda: _make(DACL), SGD, None),
    "dacl+": (lambda: _make(DACL, PLUS), SGD | {"accumulate": 3}, 3),
    "dacl, at the representation": (lambda: _make(DACL, DACLOptions(mix="representation")), SGD, None),
    "dacl, on graphs": (lambda: _dacl_on(SOURCES["dacl, on graphs"]), SGD, None),
    "dacl, on texts": (lambda: _dacl_on(SOURCES["dacl, on texts"]), SGD, None),
    "gaussian, matched": (lambda: _make(Gaussian, GaussianOptions(matched=True)), SGD, None),
    "simclr+dacl": (lambda: _make(SimCLRDACL), SGD, None),
    "random": (lambda: _make(Random), {}, None),
    "two phases": (lambda: _make(TwoPhase), SGD, None),
    "two phases, accumulated": (lambda: _make(TwoPhase), SGD | {"accumulate": 3}, None),
    "two phases, shared pass": (lambda: _make(TwoPhase, TwoPhaseOptions(own_pass=False, every=2)), SGD, 4),
    "between epochs": (lambda: _make(BetweenEpochs), SGD, 5),
    "queue": (lambda: _make(Queue), SGD, 3),
    "wrapping": (lambda: _make(Wrapping), SGD, None),
}


def run_all(out: Path) -> dict[str, dict[str, torch.Tensor]]:
    """Run everything, and return the weights and buffers of each."""
    results = {}
    for name, (make, changes, stop) in RUNS.items():
        method = make()
        training = options(**changes)
        data = replace(dataset_of(SOURCES.get(name, SOURCE)), validation=SOURCE)
        if stop is not None and world()[1] > 1:
            stopped = Interrupted(make(), at=stop)
            assert not fit(stopped, data, out=out / name, training=training).finished
            method = Interrupted(make(), at=-1)
            fit(method, data, out=out / name, training=training, resume=True)
            method = method.host
        else:
            fit(method, data, out=out / name, training=training)
        results[name] = {key: value.detach().clone() for key, value in method.state_dict().items()}
    return results


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    # The first run starts the process group.
    found = run_all(folder)
    rank, processes = world()
    assert processes == 2
    torch.save(found, folder / f"weights-{rank}.pt")
