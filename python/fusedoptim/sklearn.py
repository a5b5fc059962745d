"""scikit-learn's multi-layer perceptrons, trained by fusedoptim.

:class:`MLPClassifier` and :class:`MLPRegressor` are scikit-learn's in all but the update of the weights, which is one pass over
memory. With float64 they come to the same bits. Needs scikit-learn.
"""

import math
import warnings
from functools import wraps
from typing import Any

import numpy as np
from sklearn import neural_network
from sklearn.neural_network._stochastic_optimizers import AdamOptimizer, SGDOptimizer

from fusedoptim.core.like import like
from fusedoptim.core.storage import Array
from fusedoptim.core.whole_step import whole_step

__all__ = ["MLPClassifier", "MLPRegressor"]


class FusedAdam(AdamOptimizer):
    """scikit-learn's Adam, with the state where that has it, in `ms` and `vs`."""

    def update_params(self, params: list[Array], grads: list[Array]) -> None:
        if not all(map(_can_step, params, self.ms, self.vs)):
            super().update_params(params, grads)
            return
        self.t += 1
        root, rest = np.sqrt(1 - self.beta_2**self.t), 1 - self.beta_1**self.t
        self.learning_rate = self.learning_rate_init * root / rest  # to which no eps is added
        betas = {"beta1": self.beta_1, "beta2": self.beta_2}
        for w, g, m, v in zip(params, grads, self.ms, self.vs, strict=True):
            whole_step("adam", w, like(g, w), m, v, lr=self.learning_rate, **betas, eps=self.epsilon, t=math.inf)


class FusedSGD(SGDOptimizer):
    """scikit-learn's SGD, with the state where that has it, in `velocities`, but of the other sign."""

    velocities: list[Array]

    def update_params(self, params: list[Array], grads: list[Array]) -> None:
        if self.momentum >= 1 or not all(map(_can_step, params, self.velocities)):
            self.velocities = [-m for m in self.velocities]
            super().update_params(params, grads)
            self.velocities = [-m for m in self.velocities]
            return
        rule = "nesterov_momentum" if self.nesterov else "heavy_ball"
        scale = 1 / self.learning_rate  # which is inside of the velocity
        is_exact = 1 / scale == self.learning_rate
        for w, grad, m in zip(params, grads, self.velocities, strict=True):
            g = like(grad if is_exact else self.learning_rate * grad, w)
            whole_step(rule, w, g, m, lr=1.0, momentum=self.momentum, grad_scale=scale if is_exact else 1.0)


def _can_step(*arrays: Array) -> bool:
    """Whether these are a weight and its state, all of them plain."""
    w = arrays[0]
    return w.dtype in (np.float32, np.float64) and all(
        type(a) is np.ndarray and (a.dtype, a.shape) == (w.dtype, w.shape) and a.flags.carray for a in arrays
    )


FUSED = {AdamOptimizer: FusedAdam, SGDOptimizer: FusedSGD}


class Fused:
    """What an estimator that trains with an optimizer of scikit-learn has to itself, so that this becomes one of ours.

    It is kept in an attribute that is not public. Where a later version calls it something else, the estimator is trained as
    scikit-learn does, and :meth:`fit` warns of it.
    """

    solver: str

    @property
    def _optimizer(self) -> Any:
        try:
            return vars(self)["_optimizer"]
        except KeyError:
            raise AttributeError("it has not been trained by a stochastic solver", name="_optimizer") from None

    @_optimizer.setter
    def _optimizer(self, optimizer: Any) -> None:
        optimizer.__class__ = FUSED.get(type(optimizer), type(optimizer))
        vars(self)["_optimizer"] = optimizer


def _told(fit: Any) -> Any:
    """`fit`, with a warning where it has trained with an optimizer that is not ours."""

    @wraps(fit)
    def told(self: Any, *args: Any, **keywords: Any) -> Any:
        fitted = fit(self, *args, **keywords)
        if self.solver in ("adam", "sgd") and type(getattr(self, "_optimizer", None)) not in FUSED.values():
            warnings.warn(
                "this version of scikit-learn has trained with its own optimizer; update fusedoptim", stacklevel=2
            )
        return fitted

    return told


class MLPClassifier(Fused, neural_network.MLPClassifier):
    """scikit-learn's :class:`~sklearn.neural_network.MLPClassifier`, with its arguments, attributes and methods."""

    fit = _told(neural_network.MLPClassifier.fit)


class MLPRegressor(Fused, neural_network.MLPRegressor):
    """scikit-learn's :class:`~sklearn.neural_network.MLPRegressor`, with its arguments, attributes and methods."""

    fit = _told(neural_network.MLPRegressor.fit)
