"""A whole step without an optimizer, for those who keep weights and states themselves."""

from typing import Any

from fusedoptim import _core
from fusedoptim.core.storage import Array


def whole_step(rule: str, /, *arrays: Array, **keywords: Any) -> float | None:
    """Steps one tensor as an optimizer does, in one pass: scale, clip, decay, rule, average and zero.

    Stateless as :mod:`fusedoptim.kernels`, for frameworks that keep weights and states by keys of their own: it takes about a
    microsecond more than the kernel.

    Parameters
    ----------
    rule : str
        The name of a kernel, as ``"adam"``; not ``"muon"``, which has matrix products.
    *arrays : arrays
        The weight, its gradient and the state, in the order of the kernel, all of float32 or all of float64; they may be given
        by their names as well.
    grad_scale : float, default 1
        Divides the gradient.
    clip_norm : float, optional
        The gradient is multiplied by ``min(1, clip_norm / norm)``; it is not written.
    clip_value : float, optional
        Each element of the gradient is clipped to [−clip_value, clip_value], after `clip_norm`.
    maximize : bool, default False
        Ascend instead of descend.
    weight_decay : float, default 0
        Of a rule without one, the L2 penalty: the gradient becomes ``g + weight_decay * w``.
    ema : array, optional
        A running average of the weight, updated in place: ``ema ← ema + (1 − ema_decay)·(w − ema)``.
    ema_decay : float in [0, 1), default 0
    zero_grads : bool, default False
        Sets the gradient to zero in the same pass.
    num_threads : int, optional
        Default :func:`fusedoptim.get_num_threads`.
    **keywords : float
        The hyper-parameters of the kernel.

    Returns
    -------
    float or None
        The norm of the gradient, scaled and before clipping, where `clip_norm` is given.

    Raises
    ------
    TypeError, ValueError
        as the kernel; nothing has changed then.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w, g, m, v = np.ones(2), np.array([3.0, -4.0]), np.zeros(2), np.zeros(2)
    >>> fo.whole_step("adam", w, g, m, v, lr=0.1, t=1, clip_norm=1.0, zero_grads=True)
    5.0
    >>> w.round(6), g
    (array([0.9, 1.1]), array([0., 0.]))
    """
    return _core.whole_step(rule, *arrays, **keywords)
