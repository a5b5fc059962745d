from typing import Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.corrected_rate import CorrectedRate
from fusedoptim.schedules import Schedule


class AdaBelief(CorrectedRate[N]):
    r"""Adam with the variance of the gradient about its average in place of its square: long steps where it is steady.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        s &\leftarrow \beta_2 s + (1 - \beta_2) (g - m)^2 + eps\_root \\
        w &\leftarrow w - lr\, \frac{m / (1 - \beta_1^t)}{\sqrt{s / (1 - \beta_2^t)} + eps}

    `eps_root` goes into the average itself, step after step, and is corrected with it: it adds up to
    :math:`eps\_root / (1 - \beta_2)` under the root.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-3
        Learning rate :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decays :math:`\beta_1, \beta_2` of the running averages, kept in ``state["m"]`` and ``state["s"]``.
    eps : float, default 1e-16
        Added outside the root, after the bias correction. Adam's 1e-8 would hide what a steady gradient leaves of s.
    eps_before_correction : bool, default False
        Adds `eps` before the bias correction: :math:`lr \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)` is the rate then, with which the
        averages are taken as they are. Holds for all groups.
    eps_root : float, default 1e-16
        Added to s in each step.
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
    *When to use it.* In place of :class:`Adam`, where its paths are too careful, on convolutional networks above all.

    *Usual learning rates.* Those of :class:`Adam`: 1e-3, lower for transformers.

    *Deviations.* None from the paper and optax.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.AdaBelief(w, lr=0.1)  # g - m = 0.9 g: the first step is lr / 0.9
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(3)
    array([0.889, 2.111])

    References
    ----------
    Zhuang et al., "AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients", NeurIPS 2020,
    arXiv:2010.07468.
    """

    rule = "adabelief"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-16,
        eps_before_correction: bool = False,
        eps_root: float = 1e-16,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "eps": eps, "eps_root": eps_root, "weight_decay": weight_decay}
        super().__init__(params, arguments, eps_before_correction=eps_before_correction, **common)
