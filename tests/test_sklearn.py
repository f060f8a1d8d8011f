"""The estimator keeps scikit-learn's contract, and trains what the command line trains."""

from __future__ import annotations

import pickle
import warnings

import jaxtyping
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from unconfound.methods import DACL
from unconfound.methods.dacl import DACLOptions
from unconfound.sklearn import ContrastiveTransformer

SMALL = {"width": 8, "depth": 2, "epochs": 2, "random_state": 0}
METHODS = ("dacl", "dacl+", "scarf", "gaussian", "supervised", "scl", "jtt", "afr", "self", "metric", "random")
ROWS = np.random.default_rng(0).normal(size=(60, 5))
CLASSES = np.where(ROWS[:, 0] > 0, "high", "low")


@pytest.fixture
def _without_type_checks(monkeypatch):
    """The checks hand nonsense to constructors, which must take it; `fit` refuses it."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@parametrize_with_checks([ContrastiveTransformer(method, **SMALL) for method in METHODS])
@pytest.mark.usefixtures("_without_type_checks")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_of_tables_embeds(method):
    transformer = ContrastiveTransformer(method, **SMALL)
    embeddings = transformer.fit(ROWS, CLASSES).transform(ROWS)
    width = 128 if method == "metric" else 8  # that of the linear map which ends its encoder
    assert embeddings.shape == (60, width)
    assert np.isfinite(embeddings).all()
    assert np.ptp(embeddings, axis=0).max() > 0
    assert list(transformer.get_feature_names_out()) == [f"contrastivetransformer{place}" for place in range(width)]
    assert len(transformer.loss_curve_) == (0 if method == "random" else 2)


@pytest.mark.parametrize("loss", ["triplet", "contrastive-xbm", "margin-class"])
def test_batches_are_no_larger_than_the_classes_allow(loss):
    five = np.arange(60) % 5
    transformer = ContrastiveTransformer("metric", options={"loss": loss}, **SMALL).fit(ROWS, five)
    assert np.isfinite(transformer.transform(ROWS)).all()
    with pytest.raises(
        ValueError, match=r"training samples are too few.*4 or more are needed \(4 samples of a class\)"
    ):
        ContrastiveTransformer("metric", options={"loss": loss}, **SMALL).fit(ROWS[:3], [0, 1, 1])


@pytest.mark.parametrize("method", METHODS)
def test_the_same_random_state_gives_the_same_embedding(method):
    first, again, other = (
        ContrastiveTransformer(method, **SMALL | {"random_state": seed}).fit(ROWS, CLASSES).transform(ROWS)
        for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)
    # A generator goes on where it was; None draws anew.
    for state in (np.random.RandomState(1), None):
        transformer = ContrastiveTransformer(method, **SMALL | {"random_state": state})
        assert not np.allclose(
            transformer.fit(ROWS, CLASSES).transform(ROWS), transformer.fit(ROWS, CLASSES).transform(ROWS)
        )


def test_a_fit_is_silent_and_leaves_torchs_generator_as_it_was(capfd):
    torch.manual_seed(8)
    expected = torch.rand(3)
    torch.manual_seed(8)
    ContrastiveTransformer(**SMALL).fit(ROWS)
    assert torch.equal(torch.rand(3), expected)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_a_verbose_fit_says_what_became_of_the_columns(capfd):
    rows = np.column_stack([ROWS, np.ones(60)])
    transformer = ContrastiveTransformer(**SMALL, verbose=True).fit(rows)
    assert "column 'x5' has one value in all training rows" in capfd.readouterr().err
    transformer.transform(np.where(rows > 0, rows, np.nan)[:2])
    assert "missing cells are the training median" in capfd.readouterr().err


def test_an_embedding_does_not_depend_on_its_neighbours_and_is_that_of_the_encoder():
    transformer = ContrastiveTransformer(**SMALL).fit(ROWS)
    whole = transformer.transform(ROWS)
    assert whole.dtype == np.float64
    np.testing.assert_allclose(transformer.transform(ROWS[7:8]), whole[7:8], rtol=1e-12)
    scaled = (ROWS - ROWS.min(0)) / np.ptp(ROWS, axis=0)
    with torch.inference_mode():
        np.testing.assert_allclose(transformer.encoder_(torch.tensor(scaled).float()), whole, rtol=1e-4, atol=1e-5)


def _people(rows=80):
    generator = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "age": generator.integers(20, 60, rows),
            "work": pd.Categorical(generator.choice(["office", "field"], rows)),
            "home": np.where(generator.random(rows) < 0.2, None, generator.choice(["city", "land"], rows)),
            "since": pd.Timestamp("2020-01-01") + pd.to_timedelta(generator.integers(0, 900, rows), unit="D"),
            "income": np.where(generator.random(rows) < 0.3, np.nan, generator.normal(size=rows)),
        },
        index=np.arange(rows) * 2 + 5,
    )


def test_a_mixed_frame_is_encoded_and_comes_back_as_a_frame():
    people = _people()
    transformer = ContrastiveTransformer("dacl+", **SMALL).set_output(transform="pandas")
    embeddings = transformer.fit_transform(people)
    assert isinstance(embeddings, pd.DataFrame)
    assert embeddings.index.equals(people.index)
    assert list(embeddings.columns) == list(transformer.get_feature_names_out())
    assert transformer.features_ == [
        "age",
        "work=field",
        "work=office",
        "home=city",
        "home=land",
        "home missing",
        "since",
        "income",
        "income missing",
    ]
    assert transformer.n_features_in_ == 5
    # Unknown categories and missing cells are no mistake, a column that is no number any more is one.
    strange = people.assign(work="sea", age=np.nan)
    assert np.isfinite(transformer.transform(strange)).all().all()
    with pytest.raises(ValueError, match="column 'age' holds 'old' in row 0: a number is needed, as in training"):
        transformer.transform(people.assign(age="old"))
    with pytest.raises(ValueError, match="feature names should match those that were passed during fit"):
        transformer.transform(people[["work", "age", "home", "since", "income"]])


def test_missing_cells_of_arrays_are_the_median_and_flagged():
    rows = ROWS.copy()
    rows[3, 1] = np.nan
    transformer = ContrastiveTransformer(**SMALL).fit(rows)
    assert transformer.features_ == ["x0", "x1", "x1 missing", "x2", "x3", "x4"]
    assert np.isfinite(transformer.transform(rows)).all()
    with pytest.raises(ValueError, match="infinity"):
        transformer.fit(np.where(np.isnan(rows), np.inf, rows))


def test_in_a_pipeline_with_a_grid_search_clone_and_pickle():
    rows, classes = load_iris(return_X_y=True)
    pipeline = make_pipeline(ContrastiveTransformer(**SMALL), LogisticRegression())
    grid = {
        "contrastivetransformer__method": ["dacl", "scarf"],
        "contrastivetransformer__temperature": [0.2, 1.0],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(rows, classes)
    assert search.best_score_ > 0.6
    best = search.best_estimator_
    assert np.array_equal(pickle.loads(pickle.dumps(best)).predict(rows), best.predict(rows))
    again = clone(best).fit(rows, classes)
    assert np.array_equal(again[:-1].transform(rows), best[:-1].transform(rows))
    assert clone(best)[0].get_params()["temperature"] == search.best_params_["contrastivetransformer__temperature"]


def test_labels_are_learnt_from_by_supervised_alone():
    rows, classes = load_iris(return_X_y=True)
    names = np.array(["c", "a", "b"])[classes]
    transformer = ContrastiveTransformer(
        "supervised", width=16, epochs=30, batch_size=50, learning_rate=0.01, random_state=0
    )
    transformer.fit(rows, names)
    assert transformer.classes_.tolist() == ["a", "b", "c"]
    assert transformer.loss_curve_[-1] < 0.4
    plain = ContrastiveTransformer(**SMALL)
    assert np.array_equal(plain.fit(rows, classes).transform(rows), plain.fit(rows).transform(rows))
    with pytest.raises(ValueError, match="supervised requires y to be passed, but the target y is None"):
        transformer.fit(rows)
    with pytest.raises(ValueError, match=r"y holds one class, 'a': supervised learns to tell at least two apart"):
        transformer.fit(rows[:9], ["a"] * 9)
    with pytest.raises(ValueError, match="X has 9 rows and y 3 labels"):
        transformer.fit(rows[:9], names[:3])


def test_options_reach_the_method(monkeypatch):
    seen = []
    plain = DACL.__init__

    def spy(self, encoder, schema, options=None):
        seen.append((options, schema.columns))
        plain(self, encoder, schema, options)

    monkeypatch.setattr(DACL, "__init__", spy)
    options = {"functions": ["linear", "binary"], "linear_low": 0.5}
    ContrastiveTransformer("dacl", temperature=0.2, options=options, **SMALL).fit(_people())
    assert seen == [(DACLOptions(functions=("linear", "binary"), linear_low=0.5, temperature=0.2), (1, 2, 3, 1, 2))]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "dacle"}, "unknown method 'dacle': did you mean 'dacl'"),
        ({"method": "simclr"}, "tables"),
        ({"options": {"linear_lo": 0.1}}, "dacl has no option 'linear_lo': did you mean 'linear_low'"),
        ({"options": {"linear_low": 2}}, r"linear_low must be in \[0, 1\], got 2"),
        ({"method": "random", "temperature": 0.5}, "random has no option 'temperature'"),
        ({"temperature": -1}, "temperature must be above 0, got -1"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"batch_size": 1}, "use at least two"),
        ({"width": 0}, "width and depth of an encoder must be at least 1"),
        ({"device": "tpu"}, "device 'tpu' is not available here"),
        ({"method": "scarf", "options": {"corruption_rate": 0.1}}, "of 5 column"),
    ],
)
def test_parameters_that_cannot_be_are_refused_by_fit(given, message):
    transformer = ContrastiveTransformer(**SMALL | given)
    with pytest.raises(ValueError, match=message) as caught:
        transformer.fit(ROWS)
    assert "\n" not in str(caught.value)


def test_rows_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match=r"the frame has 1 row\(s\), at least 2 are needed"):
        ContrastiveTransformer(**SMALL).fit(_people(1))
    with pytest.raises(NotFittedError):
        ContrastiveTransformer().transform(ROWS)


def test_a_collapse_is_a_warning():
    with pytest.warns(ConvergenceWarning, match="collapse at step 2: all embeddings point the same way"):
        ContrastiveTransformer("supervised", **SMALL).fit(np.ones((20, 3)), np.arange(20) % 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ContrastiveTransformer(**SMALL).fit(ROWS)
