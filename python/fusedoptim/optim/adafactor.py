import math
from typing import Unpack

from fusedoptim.core.checks import sequence
from fusedoptim.core.groups import Hyper, to_hyper
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class Adafactor(Optimizer[N]):
    r"""RMSProp whose average of the squares is kept as one of rows and one of columns: for large models in little memory.

    .. math::

        \beta_2 &= 1 - t^{beta2\_decay} \\
        R &\leftarrow \beta_2 R + (1 - \beta_2)\, \mathrm{mean}_{rows}(g^2), \quad
        C \leftarrow \beta_2 C + (1 - \beta_2)\, \mathrm{mean}_{columns}(g^2) \\
        v &= \frac{R\, C}{\max(\mathrm{mean}(R), eps_1)}, \quad u = \frac{g}{\max(\sqrt{v}, eps_1)} \\
        w &\leftarrow w - \left(lr\, weight\_decay\, w
            + \min\!\left(lr, \tfrac{1}{\sqrt t}\right) \max(eps_2, \mathrm{rms}(w)) \frac{u}{\max(1, \mathrm{rms}(u) / d)}\right)

    Steps are relative to the size of each tensor. What has more than two axes is factored along the last two; of a vector
    :math:`v` is the running average of :math:`g^2` itself.

    The sums are in float64 and in a fixed order. They need three passes over the gradient and two over the weight.

    Parameters
    ----------
    params : nest of arrays, or list of groups
    lr : float or callable of t, default 1e-2
        The largest relative step, and the factor of the decay; :math:`1 / \sqrt t` takes over after :math:`1 / lr^2` steps.
    beta2_decay : float <= 0, default -0.8
        How fast :math:`\beta_2` rises to 1.
    eps : pair of floats, default (None, 1e-3)
        :math:`eps_1`, outside the root, where None is the machine epsilon of the weight's dtype; and :math:`eps_2`, the
        least size of a tensor.
    d : float, default 1
        The root mean square of :math:`u` is clipped to this.
    weight_decay : float, default 0
        Decoupled: a step takes :math:`lr\, weight\_decay\, w` with it.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* For large matrices where memory is short: the state is as good as none.

    *Usual learning rates.* 1e-2, which is relative to the size of each tensor and falls by itself.

    ``state["row_var"]`` has the weight's shape but 1 for the last axis, ``state["col_var"]`` 1 for the last but one, as in
    torch. Of a vector, `row_var` is what torch calls `variance`, and `col_var` a zero without axes.

    *Deviations.*

    - torch: rounds a small decay away, as :class:`AdamW` tells; here it is rounded with the step.
    - torch: refuses a `d` below 1.
    - torch: takes the epsilon of the first tensor's dtype for all that one of its loops has; here each takes that of
      its own.
    - the paper and optax: add :math:`eps_1` to :math:`g^2`; torch and this bound the root by it.
    - other libraries: differ in `lr`, and may have a momentum; the paper has 0.01 and no decay.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.full((2, 2), 4.0)
    >>> opt = fo.Adafactor(w, lr=0.25)  # a quarter of 4
    >>> opt.step(np.array([[1.0, -1.0], [1.0, -1.0]]))
    >>> w
    array([[3., 5.],
           [3., 5.]])

    References
    ----------
    Shazeer & Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", ICML 2018, arXiv:1804.04235.
    """

    rule = "adafactor"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1e-2,
        *,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay}
        super().__init__(params, arguments, **common)

    @classmethod
    def hyper(cls, rule: str, arguments: Hyper) -> Hyper:
        words = "a pair of numbers >= 0, of which the first may be None"
        eps1, eps2 = sequence("eps", arguments["eps"], 2, words)
        named = {"eps1": math.inf if eps1 is None else eps1, "eps2": eps2}
        return to_hyper(rule, {name: value for name, value in arguments.items() if name != "eps"} | named)
