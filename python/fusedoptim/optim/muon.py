import math
from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, Unpack

import numpy as np

from fusedoptim import _core
from fusedoptim.core.checks import flag, matrix, number_or_nan, one_of, sequence, unknown_keyword, whole
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.core.storage import Array
from fusedoptim.core.tensors import Tensor
from fusedoptim.numerics.newton_schulz import COEFFICIENTS, newton_schulz, size
from fusedoptim.numerics.numbers import shown
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.optim.stateful import Counts
from fusedoptim.schedules import Schedule


class Muon(Optimizer[N]):
    r"""Momentum, made nearly orthogonal: for the matrices of hidden layers; step what else there is with AdamW.

    .. math::

        m &\leftarrow \mu m + (1 - \mu) g \\
        u &= (1 - \mu) g + \mu m \quad \text{(without Nesterov: } u = m) \\
        w &\leftarrow w - (lr\, weight\_decay\, w + lr\, s\, \mathrm{NS}(u))

    :math:`\mathrm{NS}` takes :math:`x = u / \max(\|u\|, eps)` through ``ns_steps`` steps of Newton–Schulz,
    :math:`x \leftarrow a x + b (x x^\top) x + c (x x^\top)^2 x`. It keeps the singular vectors and takes the singular
    values to about 1: with the defaults, from 0.003 … 1 of the norm to 0.68 … 1.21, and more steps go no closer.
    :math:`s` depends on the shape.

    The averages and the write are kernels, the products NumPy's. So the bits are those of its BLAS, which may differ
    between machines and with its number of threads; `num_threads` is not told to it.

    Parameters
    ----------
    params : nest of arrays with two axes, or list of groups
        Embeddings and the last layer are matrices too, but commonly left to AdamW.
    lr : float or callable of t, default 1e-3
        Step size. The author's 0.02 goes with ``adjust_lr_fn=None``; with ``"match_rms_adamw"`` take AdamW's.
    weight_decay : float, default 0.1
        Decoupled: a step takes :math:`lr\, weight\_decay\, w` with it, without :math:`s`.
    momentum : float in [0, 1), default 0.95
        Decay :math:`\mu` of the running average, kept in ``state["m"]``.
    nesterov : bool, default True
        Mixes the gradient into the direction once more.
    ns_coefficients : three floats, default (3.4445, -4.775, 2.0315)
        :math:`a, b, c`.
    eps : float, default 1e-7
        The least norm that is divided by.
    ns_steps : int, default 5
        Steps of Newton–Schulz.
    adjust_lr_fn : {None, "original", "match_rms_adamw"}, default None
        :math:`s = \sqrt{\max(1, rows / columns)}`, which None means too, or :math:`0.2 \sqrt{\max(rows, columns)}`,
        with which an element moves about as far as AdamW's.
    **common
        See :class:`fusedoptim.Common`. A group has its own `lr`, `momentum` and `weight_decay`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain, or a parameter has not two axes.

    Notes
    -----
    *When to use it.* For the matrices of hidden layers, once :class:`AdamW` is tuned for the rest.

    *Usual learning rates.* 2e-2 with the default `adjust_lr_fn`; those of AdamW with ``"match_rms_adamw"``.

    Besides ``state["m"]`` there is one more array for each weight, for the direction, which is no part of the state.

    *Deviations.*

    - torch: rounds a small decay away, as :class:`AdamW` tells; here it is rounded with the step.
    - torch: computes the products in bfloat16 whatever the weights are; here they have the dtype of the weight, and
      agree with torch's to the last digits where that is made to compute in float64.
    - optax: divides by :math:`\|u\| + eps`, torch and this by :math:`\max(\|u\|, eps)`.
    - optax: a weight is (inputs, outputs) there and (outputs, inputs) here, which turns the default :math:`s` round.
    - optax: with Nesterov's momentum it corrects :math:`g` and :math:`m` for their bias, which tilts the first
      directions.
    - the author's code: sums instead of averaging, which has the same direction.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.zeros((2, 2))
    >>> opt = fo.Muon(w, lr=1.0)
    >>> opt.step(np.array([[300.0, 0.0], [0.0, 500.0]]))
    >>> w.round(1)  # neither direction dwarfs the other
    array([[-0.7,  0. ],
           [ 0. , -1. ]])

    References
    ----------
    Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024. Liu et al., "Muon is Scalable for LLM
    Training", 2025, arXiv:2502.16982 (``"match_rms_adamw"``).
    """

    rule = "muon"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = COEFFICIENTS,
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
        **common: Unpack[Common],
    ) -> None:
        self._direction = Direction(nesterov, ns_coefficients, ns_steps, eps, adjust_lr_fn)
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}, **common)

    def _filled_plan(self, cohorts: list[Counts], members: list[tuple[int, bool]], tensors: list[Tensor]) -> _core.Plan:
        for tensor in tensors:
            matrix("params" + tensor.path, tensor.weight)
        plan = super()._filled_plan(cohorts, members, tensors)
        plan.divide("sgd", self._direction)
        return plan


def names_keywords(kernel: Callable[..., None]) -> Callable[..., None]:
    """Refuses unknown ones as the compiled kernels do."""
    names = list(signature(kernel).parameters)

    @wraps(kernel)
    def call(*arrays: Array, **given: Any) -> None:
        for name in given.keys() - names:
            unknown_keyword(name, "for kernels.muon", names, "help(fusedoptim.kernels.muon)")
        kernel(*arrays, **given)

    return call


@names_keywords
def kernel(
    w: Array,
    g: Array,
    m: Array,
    *,
    lr: float = 1e-3,
    momentum: float = 0.95,
    weight_decay: float = 0.1,
    nesterov: bool = True,
    ns_coefficients: tuple[float, float, float] = COEFFICIENTS,
    ns_steps: int = 5,
    eps: float = 1e-7,
    adjust_lr_fn: str | None = None,
) -> None:
    """One step of :class:`Muon`, in place."""
    direction = Direction(nesterov, ns_coefficients, ns_steps, eps, adjust_lr_fn)
    if isinstance(w, np.ndarray):  # else refused below
        matrix("w", w)
    u = np.empty_like(w)
    _core.muon(w, g, m, u, lr=lr, momentum=momentum, weight_decay=weight_decay)
    _core.sgd(w, direction(m, u), lr=lr, weight_decay=weight_decay)


class Direction:
    """What the weights step along: the momentum, made nearly orthogonal and scaled."""

    def __init__(
        self,
        nesterov: bool,
        ns_coefficients: tuple[float, float, float],
        ns_steps: int,
        eps: float,
        adjust_lr_fn: str | None,
    ) -> None:
        self.nesterov: bool = flag("nesterov", nesterov)
        self.coefficients: tuple[float, float, float] = coefficients_of(ns_coefficients)
        self.steps: int = whole("ns_steps", ns_steps)
        _core.check_hyper("adam", "eps", eps)
        self.eps = eps
        self.adjust_lr_fn: str | None = one_of("adjust_lr_fn", adjust_lr_fn, (None, "original", "match_rms_adamw"))

    def __call__(self, m: Array, u: Array) -> Array:
        """The direction of a step, from the average `m` or, with Nesterov's momentum, from `u`."""
        with np.errstate(all="ignore"):  # a gradient that is not finite gives no warning elsewhere either
            matrix = newton_schulz(u if self.nesterov else m, self.coefficients, self.steps, self.eps)
            return np.multiply(size(u.shape, self.adjust_lr_fn), matrix, out=np.empty_like(u))


def coefficients_of(values: Any) -> tuple[float, float, float]:
    words = "three finite numbers"
    a, b, c = sequence("ns_coefficients", values, 3, words, otherwise=ValueError)
    if not all(map(math.isfinite, map(number_or_nan, (a, b, c)))):
        raise ValueError(f"ns_coefficients must be {words}, got {shown(values)}")
    return a, b, c
