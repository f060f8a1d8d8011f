"""The linear probe of the graph papers to the letter: a hundred steps of Adam in each fold."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unconfound.evaluation.embeddings import Embeddings
from unconfound.evaluation.folds import CrossValidation, StratifiedFolds


def cross_validate_adam_probe(
    embeddings: Embeddings,
    *,
    folds: int = 10,
    repeats: int = 5,
    seed: int = 0,
    steps: int = 100,
    learning_rate: float = 0.01,
    standardise: bool = False,
) -> CrossValidation:
    """Evaluate a linear classifier after a few full-batch steps of Adam, as `logistic_classify` of InfoGraph's code.

    This is the evaluation of the graph experiments of DACL: weights drawn as Xavier's uniform, biases of zero, no
    decay, nothing chosen. It has not converged after its steps, so that the scale of the features decides how far it
    gets: sums over large graphs get much further than averages. `cross_validate_probe` has no such dependence. Adam
    moves every weight by itself, so that all folds and repeats take their steps together.

    Args:
        embeddings: samples without a label (-1) are left out.
        folds: of each repeat.
        repeats: assignments to folds, each with other first weights.
        seed: of the assignments and of the weights.
        steps: of Adam, each over all training samples.
        learning_rate: of Adam.
        standardise: the features by the moments of the training folds; the papers take them as they are.

    Raises:
        ValueError: fewer than two classes, fewer samples than folds, or an embedding that is not finite.
    """
    folded = StratifiedFolds.of(embeddings, folds=folds, repeats=repeats, seed=seed)
    features, classes = folded.embeddings.features.float(), len(folded.classes)
    shares = folded.training().flatten(0, 1).float()
    shares /= shares.sum(1, keepdim=True)
    fits, columns = len(shares), features.shape[1]
    mean, scale = torch.zeros(fits, columns), torch.ones(fits, columns)
    if standardise:
        mean = shares @ features
        deviation = torch.stack(
            [(share @ (features - centre).square()).sqrt() for share, centre in zip(shares, mean, strict=True)]
        )
        scale = torch.where(deviation <= 1e-6 * mean.abs(), 1.0, deviation)
    bound = (6 / (columns + classes)) ** 0.5
    generator = torch.Generator().manual_seed(seed)
    weights = (2 * torch.rand(fits, classes, columns, generator=generator) - 1).mul_(bound).requires_grad_()
    bias = torch.zeros(fits, classes).requires_grad_()
    optimizer = torch.optim.Adam([weights, bias], lr=learning_rate)

    def logits() -> Tensor:
        scaled = weights / scale[:, None]
        shift = bias - (scaled @ mean[:, :, None])[..., 0]
        products = (scaled.flatten(0, 1) @ features.T).unflatten(0, shift.shape)
        return torch.add(products, shift[..., None])

    for _ in range(steps):
        optimizer.zero_grad()
        losses = nn.functional.cross_entropy(logits(), folded.targets.expand(fits, -1), reduction="none")
        (losses * shares).sum().backward()
        optimizer.step()
    with torch.inference_mode():
        guesses = logits().argmax(1).unflatten(0, (repeats, folds))
    return folded.score(guesses)
