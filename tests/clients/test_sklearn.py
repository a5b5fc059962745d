"""scikit-learn's perceptrons, trained by ours: the same bits in float64, whatever is done with an estimator."""

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..bits import assert_same_bits
from .own_tests import own_tests

pytest.importorskip("sklearn", reason="scikit-learn, whose estimators these are, is not installed")

import joblib
import scipy.sparse
from sklearn import neural_network
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from fusedoptim import sklearn

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 7))
Y = {"MLPClassifier": (X[:, 0] > 0) + (X[:, 1] > 0), "MLPRegressor": X @ RNG.normal(size=(7, 2))}
SOLVERS: dict[str, dict[str, Any]] = {
    "adam": {"learning_rate_init": 0.01},
    "adam, large eps": {"epsilon": 0.1, "beta_1": 0.5, "alpha": 0.1},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.1},
    "sgd, heavy ball": {"solver": "sgd", "nesterovs_momentum": False, "momentum": 0.5},
    "sgd, adaptive": {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.03, "tol": 1.0},
    "sgd, invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1},
    "sgd, momentum of 1": {"solver": "sgd", "momentum": 1.0, "learning_rate_init": 1e-4},
    "early stopping": {"early_stopping": True},
    "lbfgs": {"solver": "lbfgs"},
}
names = pytest.mark.parametrize("name", sklearn.__all__)


def pair(name: str, **keywords: Any) -> tuple[Any, Any]:
    """scikit-learn's and ours, alike."""
    keywords = {"hidden_layer_sizes": (9, 5), "max_iter": 8, "random_state": 0, "batch_size": 32} | keywords
    return getattr(neural_network, name)(**keywords), getattr(sklearn, name)(**keywords)


def weights(model: Any) -> list[np.ndarray]:
    return model.coefs_ + model.intercepts_


def assert_same(stock: Any, fused: Any) -> None:
    for own, wanted in zip(weights(fused), weights(stock), strict=True):
        assert_same_bits(own, wanted)
    assert fused.loss_ == stock.loss_


@names
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_same_bits(name: str, solver: str) -> None:
    stock, fused = (model.fit(X, Y[name]) for model in pair(name, **SOLVERS[solver]))
    assert_same(stock, fused)
    assert_same_bits(fused.predict(X), stock.predict(X))


@names
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_float32_to_rounding(name: str, solver: str) -> None:
    """scikit-learn computes the step of Adam in float64 then."""
    stock, fused = (model.fit(np.float32(X), Y[name]) for model in pair(name, **SOLVERS[solver]))
    for own, wanted in zip(weights(fused), weights(stock), strict=True):
        assert own.dtype == np.float32
        np.testing.assert_allclose(own, wanted, rtol=1e-3, atol=1e-4)


@names
def test_the_optimizer_is_ours(name: str) -> None:
    """Fails where scikit-learn calls its attribute something else."""
    for solver, kind in (("adam", sklearn.FusedAdam), ("sgd", sklearn.FusedSGD)):
        assert type(pair(name, solver=solver)[1].fit(X, Y[name])._optimizer) is kind
    assert not hasattr(pair(name, solver="lbfgs")[1].fit(X, Y[name]), "_optimizer")


@names
def test_where_the_attribute_is_gone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It trains as scikit-learn does, and says so."""
    monkeypatch.setattr(sklearn, "FUSED", {})
    stock, fused = pair(name)
    with pytest.warns(UserWarning, match="has trained with its own optimizer") as told:
        fused.fit(X, Y[name])
    assert [each.filename for each in told if "own optimizer" in str(each.message)] == [__file__]
    assert_same(stock.fit(X, Y[name]), fused)


def fit_on(model: Any, X: Any, y: Any) -> Any:
    """One more pass over the data."""
    return model.partial_fit(X, y, **({"classes": np.unique(y)} if hasattr(model, "predict_proba") else {}))


def through_joblib(model: Any) -> Any:
    """Which does not keep that two have an array in common."""
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


@names
@pytest.mark.parametrize("again", [lambda model: pickle.loads(pickle.dumps(model)), through_joblib, clone])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_copies_go_on(name: str, again: Any, solver: str) -> None:
    stock, fused = pair(name, **SOLVERS[solver])
    for _ in range(2):
        fit_on(stock, X, Y[name])
        fit_on(fused, X, Y[name])
    stock, fused = again(stock), again(fused)
    for _ in range(3):
        fit_on(stock, X, Y[name])
        fit_on(fused, X, Y[name])
    assert_same(stock, fused)


@names
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_warm_start(name: str, solver: str) -> None:
    stock, fused = pair(name, warm_start=True, **SOLVERS[solver])
    for k in range(3):
        assert_same(stock.fit(X[k:], Y[name][k:]), fused.fit(X[k:], Y[name][k:]))


@names
@pytest.mark.parametrize("solver", ["adam", "sgd", "sgd, invscaling"])
def test_weights_in_fortran_order(name: str, solver: str) -> None:
    """As a program may set them: scikit-learn's own step takes them."""
    stock, fused = pair(name, **SOLVERS[solver])
    for model in (stock, fused):
        for k in range(6):
            fit_on(model, X, Y[name])
            if k % 2 == 0:
                model.coefs_ = [(np.asfortranarray if k == 2 else np.ascontiguousarray)(w) for w in model.coefs_]
    assert_same(stock, fused)


@names
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_sample_weight(name: str, solver: str) -> None:
    """Also with float32, where the gradients come in float64."""
    weight = RNG.uniform(size=len(X))
    stock, fused = (model.fit(X, Y[name], sample_weight=weight) for model in pair(name, **SOLVERS[solver]))
    assert_same(stock, fused)
    stock, fused = (model.fit(np.float32(X), Y[name], sample_weight=weight) for model in pair(name, **SOLVERS[solver]))
    for own, wanted in zip(weights(fused), weights(stock), strict=True):
        np.testing.assert_allclose(own, wanted, rtol=1e-3, atol=1e-4)


@names
def test_sparse_data(name: str) -> None:
    sparse = scipy.sparse.csr_array(np.where(X > 0.5, X, 0))
    assert_same(*(model.fit(sparse, Y[name]) for model in pair(name)))


@names
def test_it_keeps_the_rules_of_estimators(name: str) -> None:
    results = check_estimator(getattr(sklearn, name)(max_iter=100), on_skip=None)
    assert len(results) > 40


def test_the_tests_of_sklearn(tmp_path: Path) -> None:
    own_tests(tmp_path, "sklearn", "sklearn.neural_network.tests.test_mlp")
