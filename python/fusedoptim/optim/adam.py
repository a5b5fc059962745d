from typing import ClassVar, Unpack

from fusedoptim.core.checks import flag
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.corrected_rate import CorrectedRate
from fusedoptim.schedules import Schedule


class Adam(CorrectedRate[N]):
    r"""Running averages of the gradient and of its square, corrected for their bias towards zero.

    Momentum and RMSProp in one; the correction gives the first steps the right length, about `lr` for each weight, whatever
    the size of the gradient. The usual choice for networks, because its defaults nearly always work. It is more aggressive
    than SGD and can overfit sooner; a schedule that lowers `lr` helps.

    .. math::

        m &\leftarrow \beta_1 m + (1 - \beta_1) g, & \hat m &= m / (1 - \beta_1^t) \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2, & \hat v &= v / (1 - \beta_2^t) \\
        w &\leftarrow w - \frac{lr\, \hat m}{\sqrt{\hat v + eps\_root} + eps}

    Adam with global decay, :math:`w \leftarrow w - \frac{\eta}{\sqrt{v + \varepsilon} \sqrt{t / N}} m`, is
    ``Adam(params, lr=schedules.inverse_sqrt(η, N), eps=0, eps_root=ε, bias_correction=False)``.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-3
        Learning rate :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decays :math:`\beta_1, \beta_2` of the running averages, kept in ``state["m"]`` and ``state["v"]``. Lecture notes
        often write v for our m and u for our v.
    eps : float, default 1e-8
        Added outside the root, after the bias correction, as torch and optax do.
    eps_root : float, default 0
        Added inside the root.
    bias_correction : bool, default True
        False leaves out the two divisions by :math:`1 - \beta^t`.
    eps_before_correction : bool, default False
        Adds `eps`, and `eps_root`, before the bias correction: :math:`lr \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)` is the rate
        then, with which the averages are taken as they are. Holds for all groups.
    amsgrad : bool, default False
        Divides by the largest :math:`v` so far, kept in ``state["v_max"]``, so that a rare large gradient is not forgotten.
        As in torch the maximum is taken before the bias correction, in optax after.
    weight_decay : float, default 0
        L2 penalty: :math:`g \leftarrow g + weight\_decay\, w` first, as in torch. See :class:`AdamW` for decoupled decay.
    cautious : bool, default False
        Only steps that agree with the gradient, :math:`m g > 0`, are taken, longer by the inverse of their share in the
        tensor (of 1e-3 at least): a pass of its own finds it. Holds for all groups.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* For a network, where there is no time to tune and nothing should decay; else :class:`AdamW`.

    *Usual learning rates.* 1e-3 for small networks, 1e-4 … 3e-4 for transformers and other large ones, after a
    warm-up.

    *Deviations.*

    - Keras and scikit-learn: add `eps` before the bias correction: ``eps_before_correction=True``.
    - optax: ``amsgrad`` takes the maximum of the corrected average: :class:`AMSGrad`.
    - the paper of `cautious`: the factor is one more than the number of agreeing elements, over that of all; here it is
      that of the authors' code.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.Adam(w, lr=0.1)  # the first step is lr · sign(g)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(6)
    array([0.9, 2.1])

    References
    ----------
    Kingma & Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, arXiv:1412.6980.

    Reddi, Kale & Kumar, "On the Convergence of Adam and Beyond" (AMSGrad), ICLR 2018, arXiv:1904.09237.

    Liang et al., "Cautious Optimizers: Improving Training with One Line of Code", 2024, arXiv:2411.16085.
    """

    rule = "adam"
    variants: ClassVar[tuple[str, ...]] = ("adam_amsgrad", "cautious_adam")

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        eps_root: float = 0.0,
        bias_correction: bool = True,
        eps_before_correction: bool = False,
        amsgrad: bool = False,
        weight_decay: float = 0.0,
        cautious: bool = False,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "eps": eps, "eps_root": eps_root, "bias_correction": bias_correction}
        super().__init__(
            params,
            arguments | {"weight_decay": weight_decay},
            rule=variant("adam", amsgrad, cautious),
            eps_before_correction=eps_before_correction,
            **common,
        )


def variant(rule: str, amsgrad: bool, cautious: bool) -> str:
    """The rule of Adam's kind that two flags choose."""
    if flag("amsgrad", amsgrad) & flag("cautious", cautious):
        raise ValueError("amsgrad and cautious exclude each other; leave one of them out")
    return f"{rule}_amsgrad" if amsgrad else f"cautious_{rule}" if cautious else rule
