"""Contrastive learning as a scikit-learn transformer: for pipelines, grid searches and pandas frames."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from unconfound.data import MemorySource, Schema
from unconfound.data.tables.columns import encode_columns, feature_names, fit_columns
from unconfound.encoders import build_encoder
from unconfound.methods import ALIASES, METHODS, Method
from unconfound.progress import console
from unconfound.suggestions import nearest_name
from unconfound.training import TrainingOptions
from unconfound.training.batch_size import balance_of, batch_size_of
from unconfound.training.hardware import make_fabric
from unconfound.training.loop import Listener, train

_ROWS_AT_A_TIME = 8192


class ContrastiveTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Learn an embedding of the rows of a table, without labels (or, with `method="supervised"`, from them).

    Arrays hold numbers. Frames may mix numbers, dates and categories: numbers are scaled so that the training rows span
    [0, 1], categories become one feature each, missing cells (NaN in arrays, too) the training median with a feature
    that says so, or a category of their own; `unconfound.data.tables.columns` has the rules. A fully connected network
    is trained on these features, standardised, by the loop of `unconfound.fit`.

    The same `random_state` gives the same embedding on the same hardware. While it trains, torch's generator is seeded,
    and then put back; as the threads of a process share it, parallel fits belong into processes (joblib's default).

    Args:
        method: any method for tables: "dacl", "dacl+" (three ways of mixing), "scarf" (of two columns or more) and
            "gaussian"; "supervised", "scl", "jtt", "afr", "self" and "metric", which need `y`; or "random", which
            learns nothing.
        width: units of every layer, and so features of the embedding.
        depth: layers of the encoder.
        temperature: of the contrastive loss; None is the method's default.
        options: further options of the method, such as {"linear_low": 0.8}; `unconfound fit METHOD --help` lists them.
        epochs: passes over the rows.
        batch_size: rows an update; fewer where the rows, or the classes of a method that draws some rows of each, are.
        learning_rate: highest learning rate of AdamW.
        weight_decay: of AdamW.
        random_state: of weights, order and views: an integer, a numpy RandomState, or None.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps", for training; embeddings are computed on the CPU.
        verbose: show the progress, and what became of which column and odd cell.

    Attributes:
        encoder_: the trained network, on the CPU: features in float32 -> embeddings.
        features_: names of the features that it takes.
        loss_curve_: mean training loss of every 20 updates.
        classes_: labels in the order of the classifier; of methods that learn from labels only.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.
    """

    # Flat and without checks: scikit-learn reads the parameters off this signature and sets them one by one.
    def __init__(
        self,
        method: str = "dacl",
        *,
        width: int = 128,
        depth: int = 3,
        temperature: float | None = None,
        options: Mapping[str, Any] | None = None,
        epochs: int = 50,
        batch_size: int = 256,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
        verbose: bool = False,
    ) -> None:
        self.method = method
        self.width = width
        self.depth = depth
        self.temperature = temperature
        self.options = options
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> ContrastiveTransformer:  # noqa: N803
        """Train the encoder.

        Args:
            X: [samples, features] an array of numbers, or a pandas frame.
            y: [samples] classes, which methods that learn from labels need and the others ignore.

        Raises:
            ValueError: a column, label or parameter that cannot be learnt from or with; the message names it.
        """
        kind, options = self._kind_and_options()
        frame = self._frame(X, reset=True)
        self._encoding, notes = fit_columns(frame)
        features, _ = encode_columns(frame, self._encoding)
        self.features_ = feature_names(self._encoding)
        labels, classes = self._labels(y, len(frame)) if kind.needs_labels else (None, ())
        widths = tuple(len(feature_names([column])) for column in self._encoding)
        schema = Schema("tables", (features.shape[1],), classes, columns=widths)
        source = MemorySource(type(self).__name__, schema, torch.from_numpy(features), labels)
        self._say(notes)
        with torch.random.fork_rng(devices=[]):
            alarm = self._train(source, kind, options)
        if alarm is not None:
            warnings.warn(alarm, ConvergenceWarning, stacklevel=2)
        return self

    def transform(self, X: Any) -> Float[ndarray, "samples width"]:  # noqa: N803
        """Embed rows, in float64: a row's embedding then does not depend on the rows beside it.

        Args:
            X: [samples, features] with the columns of the training rows.

        Raises:
            NotFittedError: there is no encoder yet.
            ValueError: the columns are others, or a cell does not fit the training rows.
        """
        check_is_fitted(self)
        rows, notes = encode_columns(self._frame(X, reset=False), self._encoding)
        self._say(notes)
        encoder = copy.deepcopy(self.encoder_).double()
        with torch.inference_mode():
            parts = [encoder(part.double()) for part in torch.from_numpy(rows).split(_ROWS_AT_A_TIME)]
        embeddings: ndarray = torch.cat(parts).numpy()
        return embeddings

    def _say(self, notes: Sequence[str]) -> None:
        if self.verbose:
            for note in notes:
                console.print(note)

    @property
    def _n_features_out(self) -> int:
        return int(self.encoder_.features)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        name, _ = ALIASES.get(self.method, (self.method, {}))
        tags.target_tags.required = name in METHODS and METHODS[name].needs_labels
        return tags

    def _kind_and_options(self) -> tuple[type[Method], Any]:
        """Find the method's class and make its options.

        Raises:
            ValueError: an unknown method or option, or an option out of its range.
        """
        if self.method not in METHODS and self.method not in ALIASES:
            raise ValueError(f"unknown method {self.method!r}: {nearest_name(str(self.method), [*METHODS, *ALIASES])}")
        name, preset = ALIASES.get(self.method, (self.method, {}))
        given = preset | dict(self.options or {})
        if self.temperature is not None:
            given["temperature"] = self.temperature
        known = METHODS[name].Options.__dataclass_fields__
        unknown = [option for option in given if option not in known]
        if unknown:
            raise ValueError(f"{self.method} has no option {unknown[0]!r}: {nearest_name(str(unknown[0]), known)}")
        # As JSON or a grid has them, lists; the options hold tuples.
        given = {option: tuple(value) if isinstance(value, list) else value for option, value in given.items()}
        return METHODS[name], METHODS[name].Options(**given)

    def _frame(self, X: Any, *, reset: bool) -> pd.DataFrame:  # noqa: N803
        """Check rows as scikit-learn does, and name their columns as the encoding does.

        A batch that is contrasted has at least two rows.
        """
        rows = 1 + reset
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=reset, skip_check_array=True)
            if len(X) < rows:
                raise ValueError(f"the frame has {len(X)} row(s), at least {rows} are needed")
            frame = X
        else:
            frame = pd.DataFrame(
                validate_data(
                    self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan", ensure_min_samples=rows
                )
            )
        names = getattr(self, "feature_names_in_", [f"x{place}" for place in range(self.n_features_in_)])
        return frame.set_axis(list(names), axis=1).reset_index(drop=True)

    def _labels(self, y: Any, rows: int) -> tuple[Int[torch.Tensor, " rows"], tuple[str, ...]]:
        if y is None:
            raise ValueError(f"{self.method} requires y to be passed, but the target y is None")
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if len(y) != rows:
            raise ValueError(f"X has {rows} rows and y {len(y)} labels: one a row is needed")
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds one class, {str(self.classes_[0])!r}: {self.method} learns to tell at least two apart"
            )
        return torch.from_numpy(codes), tuple(str(name) for name in self.classes_)

    def _train(self, source: MemorySource, kind: type[Method], options: Any) -> str | None:
        """Make the encoder, train it in place and keep it; return the alarm on its last state, if there is one."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        training = TrainingOptions(
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            precision="32",
            device=self.device,
            seed=seed,
        )
        torch.manual_seed(seed)
        mean, deviation = source.statistics()
        encoder = build_encoder(
            "mlp", source.schema, mean=mean, deviation=deviation, width=self.width, depth=self.depth
        )
        method = kind(encoder, source.schema, options)
        size, _ = batch_size_of(training, len(source), 1, balanced=balance_of(method, source), most=self.batch_size)
        rows: list[dict[str, Any]] = []
        alarms: dict[int, str] = {}
        train(
            method,
            source,
            training,
            fabric=make_fabric(training, phases=len(method.phases())),
            batch_size=size,
            listener=Listener(
                save=lambda *_: None,
                row=rows.append,
                alarm=lambda line: alarms.update({len(rows): line}),
                stop=lambda: False,
                bar=str(self.method) if self.verbose else None,
            ),
        )
        self.encoder_ = method.encoder.cpu().eval()
        self.loss_curve_ = [float(row["loss"]) for row in rows]
        return alarms.get(len(rows)) if rows else None
