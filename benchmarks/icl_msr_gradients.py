"""Why ICL-MSR changes so little: how its gradients compare while it learns, in the setting of its study.

python -m benchmarks.icl_msr_gradients --data-root path/to/data --photographs path/to/photographs [--seeds 0 1]

It trains `icl-msr` on SimCLR (strata on every fourth batch) on garments over photographs and, eight times on the way,
compares the gradient of the interventional loss with that of the host's loss and with that of the same loss without
strata; and the two gradients that move the strata. Rows are printed and written as they come.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import torch
from torch import Tensor

from unconfound.data import Batch, Dataset
from unconfound.data.load import DataOptions, load_dataset
from unconfound.encoders import build_encoder
from unconfound.functional.distributed import gather
from unconfound.functional.interventional import interventional_loss, strata_cosine, strata_diversity
from unconfound.methods import ICLMSR, Step
from unconfound.methods.icl_msr.meta_gradient import HostAt, Weights
from unconfound.methods.parts.two_views import Compared
from unconfound.options.methods.icl_msr import ICLMSROptions
from unconfound.training import TrainingOptions, fit

OUT = Path("runs/icl-msr-gradients")
LOOKS, EPOCHS, BATCH, SAMPLES = 8, 10, 128, 5000


class Watched(ICLMSR):
    """ICL-MSR that looks at its gradients now and then, and learns as it would."""

    found: list[dict[str, float]]

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        if phase == "train":
            self.updates = getattr(self, "updates", -1) + 1
            if self.updates % (EPOCHS * (SAMPLES // BATCH) // LOOKS) == 1:
                self.found.append({"update": self.updates, **look(self, batch)})
        return super().forward(batch, phase)


def look(method: ICLMSR, batch: Batch) -> dict[str, float]:
    """Return cosines and lengths of the gradients on one batch; the method is left as it is."""
    options, at = method.options, HostAt(method.host)
    views, weights = method.host.two_views(batch), at.weights()
    strata = method.strata(at.compare(weights, views).embeddings)

    def adjusted(compared: Compared, by: Tensor) -> Tensor:
        first, second = (gather(each) for each in compared.projections.chunk(2))
        return interventional_loss(first, second, by, temperature=options.temperature)

    host, _ = at.gradient(weights, views, lambda compared: compared.loss)
    own, _ = at.gradient(weights, views, lambda compared: adjusted(compared, strata.detach()))
    plain, compared = at.gradient(weights, views, lambda compared: adjusted(compared, torch.ones_like(strata)))
    change = method._change_of_loss(at, weights, views, method._direction(at, weights, views, views)[2], strata)
    logits = method.strata.logits
    meta = torch.autograd.grad(-float(method.rate) * options.weight * change, logits, retain_graph=True)[0]
    apart = torch.autograd.grad(options.diversity_weight * strata_diversity(strata), logits)[0]
    return {
        "cosine_with_host": _cosine(own, host),
        "cosine_without_strata": _cosine(own, plain),
        "loss": float(adjusted(compared, strata)),
        "loss_without_strata": float(adjusted(compared, torch.ones_like(strata))),
        "strata_cosine": float(strata_cosine(strata)),
        "meta_gradient": float(meta.norm()),
        "diversity_gradient": float(apart.norm()),
    }


def _cosine(first: Weights, second: Weights) -> float:
    flat = [torch.cat([each.flatten() for each in gradient.values()]) for gradient in (first, second)]
    return float(torch.cosine_similarity(*flat, dim=0))


def watch(dataset: Dataset, *, seed: int) -> list[dict[str, float]]:
    """Train once; return what was seen on the way."""
    mean, deviation = dataset.train.statistics()
    torch.manual_seed(seed)
    schema = dataset.train.schema
    encoder = build_encoder("convnet", schema, mean=mean, deviation=deviation, width=8)
    method = Watched(encoder, schema, ICLMSROptions(schedule="interleaved", meta_every=4))
    method.found = []
    training = TrainingOptions(epochs=EPOCHS, batch_size=BATCH, precision="32", seed=seed)
    fit(method, dataset, out=OUT / f"seed-{seed}", training=training, overwrite=True)
    return method.found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    given = parser.parse_args()
    dataset = load_dataset(
        DataOptions(
            data="composition",
            foregrounds="fashion-mnist",
            data_root=given.data_root,
            photographs=given.photographs,
            train_samples=SAMPLES,
            test_samples=10,
        )
    )
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / "gradients.csv"
    with path.open("w", newline="") as file:
        writer = None
        for seed in given.seeds:
            for row in watch(dataset, seed=seed):
                told = {"seed": seed, **{name: float(f"{value:.4g}") for name, value in row.items()}}
                writer = writer or csv.DictWriter(file, told)
                if file.tell() == 0:
                    writer.writeheader()
                writer.writerow(told)
                file.flush()
                print(told, flush=True)
    print(f"the table is in {path}")


if __name__ == "__main__":
    main()
