from typing import Any, Unpack

from fusedoptim.core.checks import number
from fusedoptim.core.groups import Hyper
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.core.storage import Array
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class Adagrad(Optimizer[N]):
    r"""The gradient over the root of the sum of its squares: rare features keep large steps.

    .. math::

        v &\leftarrow v + g^2 \\
        w &\leftarrow w - \frac{lr}{1 + (t - 1)\, lr\_decay} \, \frac{g}{\sqrt{v + eps\_root} + eps}

    The sum only grows, so the steps fall like :math:`1 / \sqrt t` even at a constant `lr`; :class:`RMSProp` forgets. torch
    adds `eps` outside the root, as the default here. optax adds it inside, which is
    ``eps=0, eps_root=1e-7, initial_accumulator_value=0.1``.

    Parameters
    ----------
    params : nest of arrays
        Weights :math:`w`, float32, float64 or of 16 bits, updated in place.
    lr : float or schedule, default 1e-2
        Learning rate :math:`\eta`.
    lr_decay : float, default 0
        Lets the learning rate fall with the steps besides.
    initial_accumulator_value : float, default 0
        First value of the sum of squares :math:`v`, kept in ``state["v"]``. Setting it on a group changes nothing any more.
    eps : float, default 1e-10
        Added outside the root.
    eps_root : float, default 0
        Added inside the root.
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
    *When to use it.* For sparse features, and convex problems.

    *Usual learning rates.* 1e-2 … 1e-1, constant: the steps fall by themselves.

    *Deviations.*

    - optax: adds `eps` inside the root, and begins above zero: ``eps=0, eps_root=1e-7, initial_accumulator_value=0.1``.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0, 2.0])
    >>> opt = fo.Adagrad(w, lr=0.1)  # the first step is lr · sign(g)
    >>> opt.step(np.array([3.0, -5.0]))
    >>> w.round(6)
    array([0.9, 2.1])

    References
    ----------
    Duchi, Hazan & Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic Optimization", JMLR 12, 2011.
    """

    rule = "adagrad"

    @classmethod
    def hyper(cls, rule: str, arguments: Hyper) -> Hyper:
        number("initial_accumulator_value", arguments["initial_accumulator_value"], "non_negative")
        return super().hyper(rule, arguments)

    @classmethod
    def initial(cls, name: str, weight: Array, arguments: Hyper) -> Any:
        value = arguments["initial_accumulator_value"]
        return value if name == "v" and value > 0 else None

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-2,
        *,
        lr_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        eps_root: float = 0.0,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "lr_decay": lr_decay, "initial_accumulator_value": initial_accumulator_value}
        arguments |= {"eps": eps, "eps_root": eps_root, "weight_decay": weight_decay}
        super().__init__(params, arguments, **common)
