"""The metric losses by name, each with the settings that were tuned for it and where they come from.

The Reality Check is Musgrave, Belongie and Lim, "A Metric Learning Reality Check" (ECCV 2020); its settings are those
of the table "Optimal hyperparameters" in docs/papers/mlrc.md of github.com/KevinMusgrave/powerful-benchmarker, found by
50 trials a loss on validation classes, with batches of 32, RMSprop and a learning rate of 1e-6 for an encoder that was
pretrained on ImageNet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from unconfound.suggestions import nearest_name

TunedOn = Literal["cub", "cars196", "stanford-online-products"]
LossName = Literal[
    "contrastive",
    "triplet",
    "nt-xent",
    "proxy-nca",
    "margin",
    "margin-class",
    "normalized-softmax",
    "cosface",
    "arcface",
    "fastap",
    "snr-contrastive",
    "multi-similarity",
    "multi-similarity-miner",
    "soft-triple",
    "proxy-nca++",
    "contrastive-xbm",
    "proxy-anchor",
]


@dataclass(frozen=True)
class Tuned:
    """The settings of a loss.

    Args:
        settings: of each data set they were tuned on; of one, where the paper has one for all.
        proxy_learning_rates: of what the loss learns beside the encoder, in the same order; none: it learns nothing.
        instances: of each class in a batch; None: samples come as they are shuffled.
        source: where the settings come from.
        needs_pairs: a batch without two samples of a class has nothing to pull together.
    """

    settings: tuple[Mapping[str, float], ...]
    proxy_learning_rates: tuple[float, ...] = ()
    instances: int | None = 4
    source: str = "the Reality Check"
    needs_pairs: bool = True


_ABOVE_ZERO = ("scale", "positive_scale", "gamma", "bins", "centers", "memory")
_ORDER: tuple[TunedOn, ...] = ("cub", "cars196", "stanford-online-products")


def tuned(name: LossName, on: TunedOn = "cub") -> tuple[dict[str, float], float | None]:
    """Return the settings of a loss and the learning rate of what it learns, None where it learns nothing."""
    loss, place = LOSSES[name], _ORDER.index(on)
    rates = loss.proxy_learning_rates
    rate = rates[min(place, len(rates) - 1)] if rates else None
    return dict(loss.settings[min(place, len(loss.settings) - 1)]), rate


def checked_settings(name: LossName, given: Mapping[str, float]) -> dict[str, float]:
    """Return the settings of a loss tuned on CUB-200, with those that are given in their place.

    Raises:
        ValueError: an unknown loss, a setting that it has not, or one out of its range.
    """
    if name not in LOSSES:
        raise ValueError(f"unknown loss {name!r}: {nearest_name(str(name), get_args(LossName))}")
    settings, _ = tuned(name)
    for setting, value in given.items():
        if setting not in settings:
            raise ValueError(f"the loss {name} has no {setting}: it has {', '.join(settings)}")
        if not math.isfinite(value):
            raise ValueError(f"{setting} of the loss {name} must be a finite number, got {value}")
        if setting in _ABOVE_ZERO and not value > 0:
            raise ValueError(f"{setting} of the loss {name} must be above 0, got {value}")
        settings[setting] = value
    return settings


def _each(**columns: tuple[float, float, float]) -> tuple[dict[str, float], ...]:
    return tuple({name: values[place] for name, values in columns.items()} for place in range(3))


# A temperature t of the source stands as the scale 1 / t.
LOSSES: dict[LossName, Tuned] = {
    "contrastive": Tuned(_each(positive_margin=(-0.2, 0.2652, 0.2850), margin=(0.3841, 0.5409, 0.5130))),
    "triplet": Tuned(_each(margin=(0.0961, 0.1190, 0.0451))),
    "nt-xent": Tuned(_each(scale=(1 / 0.0091, 1 / 0.0219, 1 / 0.0002))),
    "proxy-nca": Tuned(_each(scale=(13.98, 7.97, 10.73)), (6.04e-3, 4.43e-3, 5.28e-4), None, needs_pairs=False),
    "margin": Tuned(
        _each(margin=(0.0878, 0.0781, 0.0915), boundary=(0.7838, 1.3164, 1.1072)), (1.31e-3, 1.11e-4, 1.82e-3)
    ),
    "margin-class": Tuned(
        _each(margin=(0.0779, 0.0776, 0.0518), boundary=(0.9796, 0.9598, 0.8424)), (2.65e-4, 4.76e-5, 7.10e-5)
    ),
    "normalized-softmax": Tuned(
        _each(scale=(1 / 0.1087, 1 / 0.0886, 1 / 0.0630)), (4.46e-3, 1.10e-2, 5.46e-4), None, needs_pairs=False
    ),
    "cosface": Tuned(
        _each(scale=(100.0, 161.5, 100.0), margin=(0.6182, 0.4324, 0.3364)),
        (2.53e-3, 7.41e-3, 2.16e-3),
        None,
        needs_pairs=False,
    ),
    # The margin is an angle in degrees.
    "arcface": Tuned(
        _each(scale=(100.0, 49.50, 220.3), margin=(23.22, 20.52, 18.63)),
        (5.13e-3, 7.39e-6, 2.01e-3),
        None,
        needs_pairs=False,
    ),
    "fastap": Tuned(_each(bins=(17.0, 27.0, 16.0))),
    "snr-contrastive": Tuned(
        _each(positive_margin=(0.3264, 0.1670, 0.3759), margin=(0.8446, 0.9337, 1.0831), mean_weight=(0.1382, 0.0, 0.0))
    ),
    # `positive_scale`, `scale` and `base` are the paper's alpha, beta and lambda.
    "multi-similarity": Tuned(
        _each(positive_scale=(0.01, 14.35, 8.49), scale=(50.60, 75.83, 57.38), base=(0.56, 0.66, 0.41))
    ),
    "multi-similarity-miner": Tuned(
        _each(
            positive_scale=(17.97, 7.49, 15.94),
            scale=(75.66, 47.99, 156.61),
            base=(0.77, 0.63, 0.72),
            epsilon=(0.39, 0.72, 0.34),
        )
    ),
    # The library of the time divided the spread by half as many pairs as the paper and as we do: weights are doubled.
    # Stanford Online Products had no spread: its weight is given as N/A. The number of centers, which is not in the
    # table, is the SoftTriple paper's for CUB and Cars.
    "soft-triple": Tuned(
        _each(
            scale=(78.02, 17.69, 100.0),
            margin=(0.4307, 0.3588, 0.3145),
            gamma=(58.95, 19.18, 47.90),
            spread_weight=(2 * 0.3754, 2 * 0.0669, 0.0),
            centers=(10.0, 10.0, 10.0),
        ),
        (5.37e-5, 1.40e-4, 8.68e-5),
        None,
        needs_pairs=False,
    ),
    "proxy-nca++": Tuned(
        ({"scale": 9.0},),
        (6.04e-3, 4.43e-3, 5.28e-4),
        4,
        "Teh et al. (ECCV 2020): temperature 1/9, 8 classes x 4; their learning rate of 400 belongs to an Adam with "
        "epsilon 1, so that of `proxy-nca` stands in",
        False,
    ),
    "contrastive-xbm": Tuned(
        ({"positive_margin": 1.0, "margin": 0.5, "memory": 8192.0},),
        (),
        4,
        "Wang et al. (CVPR 2020): cosines, margin 0.5; memory and instances of github.com/msight-tech/research-xbm",
        False,
    ),
    "proxy-anchor": Tuned(
        ({"scale": 32.0, "margin": 0.1},),
        (1e-2,),
        None,
        "Kim et al. (CVPR 2020): proxies learn at 100 x the encoder's 1e-4, samples are shuffled",
        False,
    ),
}
