from typing import Any, Unpack

import numpy as np

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.core.storage import Array
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule

CHUNK = 4096  # elements whose noise is drawn at once


class NoisySGD(Optimizer[N]):
    r"""Gradient descent with normal noise on the gradient, of falling variance: to leave poor minima while it is large.

    .. math::

        w \leftarrow w - lr\, (g + n_t), \quad n_t \sim \mathcal N(0,\ eta / t^{gamma})

    The noise comes after clipping and the L2 penalty. It is that of `seed`, a keyword of all optimizers, and does not depend on
    the number of threads, nor on how often a run was saved and resumed. A state dict does not have the seed.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-2
        Learning rate :math:`\eta`.
    eta : float, default 0.01
        Variance of the noise in the first step; 0 is :class:`SGD`.
    gamma : float, default 0.55
        Decay of the variance.
    weight_decay : float, default 0
        L2 penalty: :math:`g \leftarrow g + weight\_decay\, w` first.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* Where :class:`SGD` ends in a poor minimum at the beginning of training.

    *Usual learning rates.* Those of :class:`SGD`, 1e-2 … 1e-1.

    *Deviations.*

    - optax: has another stream of random numbers. Ours are those of a counter: elements 4096 c to 4096 c + 4095 of tensor k
      have, at step t, the normal numbers of ``numpy.random.Philox(counter=[0, c, k, t], key=key)``, where the key is
      ``numpy.random.SeedSequence(seed).generate_state(2, numpy.uint64)``. So an element has the same noise whoever draws it.
      ``state["noise"]`` holds that of the step to come.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.zeros(2)
    >>> opt = fo.NoisySGD(w, lr=1.0, eta=0.25)
    >>> opt.step(np.array([3.0, -3.0]))
    >>> key = np.random.SeedSequence(0).generate_state(2, np.uint64)
    >>> noise = np.random.Generator(np.random.Philox(counter=[0, 0, 0, 1], key=key)).standard_normal(2)
    >>> np.array_equal(w, -(np.array([3.0, -3.0]) + 0.5 * noise))
    True

    References
    ----------
    Neelakantan et al., "Adding Gradient Noise Improves Learning for Very Deep Networks", 2015, arXiv:1511.06807.
    """

    rule = "noisy_sgd"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-2,
        *,
        eta: float = 0.01,
        gamma: float = 0.55,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(params, {"lr": lr, "eta": eta, "gamma": gamma, "weight_decay": weight_decay}, **common)

    def _extend(self, specs: list[dict[str, Any]], grouped: bool, copies: list[Any]) -> None:
        there = len(self._tensors)
        try:
            super()._extend(specs, grouped, copies)
            self._draw()
        except BaseException:  # an interrupt may come between the two, or amid the second
            if len(self._tensors) > there:
                self._draw()
            raise

    def _follow(self, t: int) -> None:
        if self.t != t:
            self._draw()

    def _draw(self) -> None:
        """Fills the noise of the next step; that of frozen parameters too."""
        for k, tensor in enumerate(self._tensors):
            draw(tensor.states["noise"], self.seed, self.t + 1, *self._place(k))

    def _place(self, k: int) -> tuple[int, int]:
        """The number of a tensor, and where it begins in that: elsewhere than at 0, if it is a slice."""
        return k, 0


def draw(noise: Array, seed: int, t: int, number: int, begin: int = 0) -> None:
    """Fills an array with the noise of a tensor, by its number, at step t; or of a slice of it, which begins with a chunk."""
    flat = noise.reshape(-1)
    key = np.random.SeedSequence(seed).generate_state(2, np.uint64)
    for first in range(0, flat.size, CHUNK):
        counter = [0, (begin + first) // CHUNK, number, t]
        stream = np.random.Generator(np.random.Philox(counter=counter, key=key))
        stream.standard_normal(out=flat[first : first + CHUNK], dtype=flat.dtype.type)
