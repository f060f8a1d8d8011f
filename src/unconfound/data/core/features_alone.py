"""How other data with labels of their own are read for an encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What an encoding says beside how samples become features: see `data.tables.targets.fit_targets`.
_TARGETS = ("label", "classes", "group")


def features_alone(restore: Mapping[str, Any]) -> dict[str, Any]:
    """Return `Dataset.restore` without what it says of labels, groups and parts.

    By what is left, data that an encoder is to be trained on have the features that it knows (size and channels of
    images, columns of a table, vocabulary), and classes and test samples as if the encoder were new.
    """
    kept = {name: value for name, value in restore.items() if name != "unseen_classes"}
    encoding = kept.get("encoding")
    if isinstance(encoding, Mapping):
        # Of graphs, "attributes" are those of the nodes; of rows, the values of the group.
        targets = (*_TARGETS, "attributes") if "group" in encoding else _TARGETS
        kept["encoding"] = {name: value for name, value in encoding.items() if name not in targets}
    return kept
