"""Embeddings with what is known of their samples: all that the rest of the evaluation sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from unconfound.functional.labels import whole_numbers


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The embeddings of some samples, on the CPU.

    Arrays of numpy and integers of any width are taken, too, and become tensors; integers become int64.

    Args:
        features: finite.
        index: the position of each sample in its source.
        labels: -1 where a sample has no label; None where none has.
        groups: -1 where a sample has no group; None where none has.
        names: a file path or row name a sample.

    Raises:
        TypeError: index, labels or groups are not integers.
        ValueError: they are not one a sample.
    """

    features: Float[Tensor, "samples features"]
    index: Int[Tensor, " samples"]
    labels: Int[Tensor, " samples"] | None = None
    groups: Int[Tensor, " samples"] | None = None
    names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "features", torch.as_tensor(self.features))
        for name in ("index", "labels", "groups"):
            given = getattr(self, name)
            if given is None:
                continue
            values = whole_numbers(name, given)
            if values.shape != self.features.shape[:1]:
                raise ValueError(
                    f"{name} must be one a sample, got shape {tuple(values.shape)} for {len(self.features)} samples"
                )
            object.__setattr__(self, name, values)

    def __len__(self) -> int:
        return len(self.features)

    def where(self, keep: Bool[Tensor, " samples"]) -> Embeddings:
        """Return the samples for which `keep` is true, in their order."""
        return Embeddings(
            features=self.features[keep],
            index=self.index[keep],
            labels=None if self.labels is None else self.labels[keep],
            groups=None if self.groups is None else self.groups[keep],
            names=None if self.names is None else [self.names[i] for i in keep.nonzero().flatten().tolist()],
        )

    def labelled(self) -> tuple[Embeddings, Int[Tensor, " labelled"]]:
        """Return the samples that carry a label, and their labels.

        Raises:
            ValueError: none does, or the embedding of one that does is not finite.
        """
        if self.labels is None or not (self.labels >= 0).any():
            raise ValueError("none of the embeddings carries a label; give labels to score them, or only embed them")
        known = self.where(self.labels >= 0)
        assert known.labels is not None
        known.check_finite()
        return known, known.labels

    def by_class(self) -> tuple[Embeddings, Int[Tensor, " classes"], Int[Tensor, " labelled"]]:
        """Return the samples that carry a label, their classes, and the position of each one's class among these.

        Raises:
            ValueError: as `labelled`, or there are fewer than two classes.
        """
        known, labels = self.labelled()
        classes, targets = labels.unique(return_inverse=True)
        if len(classes) < 2:
            raise ValueError(
                f"all {len(labels)} labelled samples are of class {int(classes)}; "
                "a classifier needs two or more classes"
            )
        return known, classes, targets

    def check_finite(self, *, of: str = "", remedy: str = "leave them out") -> None:
        """Refuse embeddings that are no numbers. Whatever evaluates embeddings asks for this first.

        Args:
            of: what they are the embeddings of, if that is known.
            remedy: what to do about them.

        Raises:
            ValueError: NaN or infinity; names how many samples and the first.
        """
        bad = ~self.features.isfinite().all(dim=1)
        if not bool(bad.any()):
            return
        first = int(bad.nonzero()[0])
        name = "" if self.names is None else f" ({self.names[first]})"
        raise ValueError(
            f"{int(bad.sum())} of {len(bad)} embeddings{of and f' of {of}'} are not finite, the first that of sample "
            f"{int(self.index[first])}{name}; {remedy}"
        )
