"""The optimizers of Thinc, and so of spaCy, whose step is one pass over memory.

A config of Thinc or spaCy names them, and nothing else changes::

    [training.optimizer]
    @optimizers = "FusedAdam.v1"

``FusedAdam.v1``, ``FusedRAdam.v1`` and ``FusedSGD.v1`` take the arguments of Thinc's ``Adam.v1``, ``RAdam.v1`` and ``SGD.v1``, and
compute the same but for rounding. Needs Thinc.
"""

import math
from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from thinc import optimizers

from fusedoptim.core.storage import Array
from fusedoptim.core.whole_step import whole_step

__all__ = ["FusedAdam", "FusedRAdam", "FusedSGD", "Optimizer"]

LONGEST_DECAY = 0.9999  # of Thinc's averages
WITH_DECAY = {"adam": "adamw", "radam": "radam_decoupled", "sgd": "sgd"}


class Optimizer(optimizers.Optimizer):
    """Thinc's optimizer: L2, clip, rule, decay, average of the weights and zeroing of the gradient are one pass.

    All else is Thinc's, and so is the step of what is no plain array of float32, as of arrays on a GPU. The state is where
    Thinc has it, in `mom1`, `mom2`, `nr_update` and `averages`.
    """

    __slots__ = ()

    def __call__(self, key: Any, weights: Any, gradient: Any, *, lr_scale: float = 1.0) -> tuple[Any, Any]:
        """Updates the weights in place and sets the gradient to zero; returns both."""
        if _is_plain(weights) and _is_plain(gradient) and weights.size > 0:
            try:
                self._step(key, weights, gradient, lr_scale)
                return weights, gradient
            except (TypeError, ValueError):  # refused, before anything has changed
                pass
        stepped: tuple[Any, Any] = super().__call__(key, weights, gradient, lr_scale=lr_scale)
        return stepped

    def _step(self, key: Any, weights: Array, gradient: Array, lr_scale: float) -> None:
        t = self.nr_update[key] + 1
        rule, rate, hyper = self._rule(t, lr_scale)
        moments = [] if rule == "sgd" else [_of(self.mom1, key, weights), _of(self.mom2, key, weights)]
        g = gradient
        if self.L2 and self.L2_is_weight_decay:
            rule, rate, hyper["weight_decay"] = _decayed(rule, rate, lr_scale * self.learn_rate * self.L2)
        elif self.L2 and self.grad_clip:  # by the norm of the sum
            g = gradient + self.L2 * weights
        elif self.L2:
            hyper["weight_decay"] = self.L2
        if self.averages is not None:
            decay = min((1.0 + t) / (10.0 + t), LONGEST_DECAY)
            hyper |= {"ema": _of(self.averages, key, weights, weights.shape), "ema_decay": decay}
        clip = self.grad_clip or None
        whole_step(rule, weights, g, *moments, lr=rate, **hyper, clip_norm=clip, zero_grads=True)
        if g is not gradient:
            gradient.fill(0)
        self.nr_update[key] = t

    def _rule(self, t: int, lr_scale: float) -> tuple[str, float, dict[str, Any]]:
        """The kernel, its learning rate, and its other hyper-parameters."""
        hyper: dict[str, Any] = {"beta1": self.b1, "beta2": self.b2, "eps": self.eps}
        if self.use_radam:  # counts from 2, and does not scale its rate
            return "radam", self.learn_rate, hyper | {"t": t + 1}
        if self.b1 > 0 and self.b2 > 0:  # adds eps before the bias correction
            rate = self.learn_rate * (1 - self.b2**t) ** 0.5 / (1 - self.b1**t)
            return "adam", rate * lr_scale, hyper | {"t": math.inf}
        if self.b2 > 0:
            raise ValueError("there is no such rule, which Thinc says as well")
        return "sgd", lr_scale * self.learn_rate, {}


def _is_plain(array: Any) -> bool:
    return type(array) is np.ndarray and array.dtype == np.float32 and array.flags.writeable


def _of(states: dict[Any, Array], key: Any, weights: Array, shape: Any = -1) -> Array:
    """The state of a key as the weights are shaped; Thinc keeps moments in one axis."""
    state = states.get(key)
    if state is None:
        state = states[key] = np.zeros(weights.shape, np.float32).reshape(shape)
    return state.reshape(weights.shape)


def _decayed(rule: str, rate: float, decay: float) -> tuple[str, float, float]:
    """The kernel, its rate and weight decay where the step of a rule is followed by ``w -= decay * w``.

    ``(w - rate * u) * (1 - decay)`` is ``w - (decay * w + (1 - decay) * rate * u)``.
    """
    rate *= 1 - decay
    return WITH_DECAY[rule], rate, decay / rate if decay else 0.0


def _fused(make: Callable[..., Any]) -> Callable[..., Any]:
    """A function with the arguments of one of Thinc's, whose optimizer is the one above."""

    @wraps(make)
    def fused(*args: Any, **kwargs: Any) -> Any:
        optimizer = make(*args, **kwargs)
        optimizer.__class__ = Optimizer
        return optimizer

    fused.__name__ = fused.__qualname__ = f"Fused{make.__name__}"
    fused.__module__ = __name__
    fused.__doc__ = f"As :func:`thinc.api.{make.__name__}`, with the :class:`Optimizer` of this module."
    return fused


FusedAdam = _fused(optimizers.Adam)
FusedRAdam = _fused(optimizers.RAdam)
FusedSGD = _fused(optimizers.SGD)
