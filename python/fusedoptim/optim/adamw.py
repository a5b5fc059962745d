from typing import ClassVar, Unpack

from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.adam import variant
from fusedoptim.optim.corrected_rate import CorrectedRate
from fusedoptim.schedules import Schedule


class AdamW(CorrectedRate[N]):
    r"""Adam with decoupled weight decay.

    Under Adam, an L2 penalty on the loss would be divided by :math:`\sqrt{v}` with the rest of the gradient, and so decay
    least the weights whose gradients are largest. AdamW shrinks all weights alike. Prefer it to Adam wherever weight decay
    is wanted. At ``weight_decay=0`` it is Adam, to the bit.

    .. math::

        w \leftarrow w - (lr \cdot weight\_decay\, w + \text{the step of Adam})

    The decay does not enter the running averages. As in torch and optax, `lr` scales it; the paper scales it by the
    schedule alone.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-3
        Learning rate :math:`\eta`.
    betas : pair of floats in [0, 1), default (0.9, 0.999)
        Decays :math:`\beta_1, \beta_2` of the running averages, kept in ``state["m"]`` and ``state["v"]``.
    eps : float, default 1e-8
        Added outside the root.
    eps_root : float, default 0
        Added inside the root.
    weight_decay : float, default 1e-2
        Decay of the weights, in units of `lr` a step.
    bias_correction : bool, default True
        False leaves out the two divisions by :math:`1 - \beta^t`.
    eps_before_correction : bool, default False
        Adds `eps`, and `eps_root`, before the bias correction: :math:`lr \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)` is the rate
        then, with which the averages are taken as they are. Holds for all groups.
    amsgrad : bool, default False
        Divides by the largest :math:`v` so far, kept in ``state["v_max"]``, so that a rare large gradient is not forgotten.
        As in torch the maximum is taken before the bias correction, in optax after.
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
    *When to use it.* For a network, where there is no time to tune: the first to try, with a warm-up and a fall of the
    rate.

    *Usual learning rates.* 1e-3 for small networks, 1e-4 … 6e-4 for transformers, 1e-5 … 5e-5 to fine-tune them. A
    decay of 1e-2 … 1e-1.

    *Deviations.*

    - Keras: adds `eps` before the bias correction: ``eps_before_correction=True``.
    - the paper: scales the decay by the schedule alone: its decay is our `weight_decay` times the `lr` that the
      schedule begins with.
    - optax: decays by 1e-4 unless told; torch and this by 1e-2.
    - torch: multiplies the weight by :math:`1 - lr \cdot weight\_decay`, rounded to its dtype: in float32 a product of 1e-7
      decays 1.19 times as much as it should, one below 2.9e-8 not at all. Here, as in optax, the decay joins the step and is
      rounded with it.
    - the paper of `cautious`: the factor is one more than the number of agreeing elements, over that of all; here it is
      that of the authors' code.
    - the authors' code of `cautious`: decays the weights as they are after the step, here before it as always.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.AdamW(w, lr=0.1, weight_decay=0.5)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(6)
    array([0.85, 2.  ])

    References
    ----------
    Loshchilov & Hutter, "Decoupled Weight Decay Regularization", ICLR 2019, arXiv:1711.05101.

    Reddi, Kale & Kumar, "On the Convergence of Adam and Beyond" (AMSGrad), ICLR 2018, arXiv:1904.09237.

    Liang et al., "Cautious Optimizers: Improving Training with One Line of Code", 2024, arXiv:2411.16085.
    """

    rule = "adamw"
    variants: ClassVar[tuple[str, ...]] = ("adamw_amsgrad", "cautious_adamw")

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        eps_root: float = 0.0,
        weight_decay: float = 1e-2,
        bias_correction: bool = True,
        eps_before_correction: bool = False,
        amsgrad: bool = False,
        cautious: bool = False,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "eps": eps, "eps_root": eps_root, "bias_correction": bias_correction}
        super().__init__(
            params,
            arguments | {"weight_decay": weight_decay},
            rule=variant("adamw", amsgrad, cautious),
            eps_before_correction=eps_before_correction,
            **common,
        )
