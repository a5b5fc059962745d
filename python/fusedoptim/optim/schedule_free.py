from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar, Unpack

import numpy as np

from fusedoptim.core.checks import number, whole
from fusedoptim.core.groups import Hyper
from fusedoptim.core.nest import N
from fusedoptim.core.options import Common
from fusedoptim.core.storage import Array
from fusedoptim.core.tensors import Tensor
from fusedoptim.numerics.elementary import power
from fusedoptim.numerics.numbers import shown
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.schedules import Schedule


class ScheduleFree(Optimizer[N]):
    """What the two have in common: how the average is weighted, and how to evaluate with it."""

    beta: ClassVar[str]  # the hyper-parameter that says where between z and x the weights are
    carried: ClassVar[dict[str, float]] = {"weight_sum": 0.0, "lr_max": 0.0}

    @classmethod
    def hyper(cls, rule: str, arguments: Hyper) -> Hyper:
        if arguments["warmup_steps"] != 0:
            whole("warmup_steps", arguments["warmup_steps"])
        for name in ("r", "weight_lr_power"):
            number(name, arguments[name], "non_negative")
        hyper = super().hyper(rule, arguments)
        if hyper[cls.beta] == 0:
            raise ValueError(
                f"{cls.beta} must be a number in (0, 1), got {shown(hyper[cls.beta])}: at 0 the average is lost"
            )
        return hyper

    @classmethod
    def carry(cls, t: int, hyper: Hyper, carried: dict[str, float]) -> tuple[Hyper, dict[str, float]]:
        warmup = hyper["warmup_steps"]
        lr = float(hyper["lr"]) * (t / warmup if t < warmup else 1.0)
        lr_max = max(lr, carried["lr_max"])
        weight = power(t, hyper["r"]) * power(lr_max, hyper["weight_lr_power"])
        weight_sum = carried["weight_sum"] + weight
        z_weight = weight / weight_sum if weight_sum > 0 else 0.0
        return {"lr": lr, "z_weight": z_weight}, {"weight_sum": weight_sum, "lr_max": lr_max}

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Puts the average x into `params` for the time of the ``with`` block, to evaluate and to save with.

        The weights are put back when it ends, also by an exception, with the same bits. Take no step inside.

        Raises
        ------
        RuntimeError
            within :meth:`Optimizer.stepping`.
        """
        with self._swapped("averaged", self._averages):
            yield

    def _averages(self) -> list[Array]:
        return [self._average(tensor) for tensor in self._tensors]

    def _average(self, tensor: Tensor) -> Array:
        beta, z = float(self.groups[tensor.group]._hyper[self.beta]), tensor.states["z"]
        w = tensor.as_float("params", self.rule)
        return np.asarray(z + (w - z) / beta, w.dtype)


class ScheduleFreeSGD(ScheduleFree[N]):
    r"""Gradient descent whose average of iterates takes the place of momentum and of a schedule of the learning rate.

    .. math::

        z &\leftarrow z - lr\, g \\
        x &\leftarrow x + c\, (z - x) \\
        w &\leftarrow (1 - momentum)\, z + momentum\, x

    The gradient is that at :math:`w`, which `params` hold in training. Evaluate at :math:`x`, within :meth:`~ScheduleFreeSGD.averaged`; of
    the three only :math:`w` and ``state["z"]`` are kept.

    Parameters
    ----------
    params : nest of arrays, or list of groups
    lr : float or callable of t, default 1
        Step size. Best larger than for plain descent, and constant after the warm-up.
    momentum : float in (0, 1), default 0.9
        Where between :math:`z` and :math:`x` the gradient is taken.
    weight_decay : float, default 0
        L2 penalty: :math:`g \leftarrow g + weight\_decay\, w` first.
    warmup_steps : int, default 0
        In the first of so many steps `lr` is multiplied by ``t / warmup_steps``.
    r, weight_lr_power : float, default 0 and 2
        :math:`c` is the weight of step t, :math:`t^r\, (\max_{s \le t} lr_s)^{weight\_lr\_power}`, over the sum of the
        weights so far.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* Where the end of training is not known, and SGD would do with a schedule.

    *Usual learning rates.* 1 … 5, constant after `warmup_steps`: its authors take 10 to 50 times that of SGD.

    Layers that keep averages of their inputs, as batch normalization does, have those of :math:`w`: run some training data
    through them within :meth:`~ScheduleFreeSGD.averaged` before evaluating. A state dict goes with the weights outside of it. ``state["z"]``
    begins at the weights as they are at their first step.

    *Deviations.*

    - the authors' code: is switched by `train()` and `eval()`, which move the weights back and forth with rounding;
      :meth:`~ScheduleFreeSGD.averaged` puts back the very weights.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0])
    >>> opt = fo.ScheduleFreeSGD(w, lr=0.5, momentum=0.5)
    >>> for _ in range(2):
    ...     opt.step(np.array([1.0]))  # z: 0.5, then 0
    >>> with opt.averaged():
    ...     print(w)
    [0.25]
    >>> w
    array([0.125])

    References
    ----------
    Defazio et al., "The Road Less Scheduled", NeurIPS 2024, arXiv:2405.15682.
    """

    rule = "schedule_free_sgd"
    beta = "momentum"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 1.0,
        *,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "warmup_steps": warmup_steps}
        super().__init__(params, arguments | {"r": r, "weight_lr_power": weight_lr_power}, **common)


class ScheduleFreeAdamW(ScheduleFree[N]):
    r"""AdamW whose average of iterates takes the place of momentum and of a schedule of the learning rate.

    .. math::

        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        u &= \frac{g}{\sqrt{v / (1 - \beta_2^t)} + eps} + weight\_decay\, w \\
        z &\leftarrow z - lr\, u \\
        x &\leftarrow x + c\, (z - x) \\
        w &\leftarrow (1 - \beta_1)\, z + \beta_1\, x

    The gradient is that at :math:`w`, which `params` hold in training. Evaluate at :math:`x`, within :meth:`~ScheduleFreeAdamW.averaged`; of
    the three only :math:`w` and ``state["z"]`` are kept.

    Parameters
    ----------
    params : nest of arrays, or list of groups
    lr : float or callable of t, default 2.5e-3
        Step size. Best 1 to 10 times AdamW's, and constant after the warm-up.
    betas : pair of floats, in (0, 1) and [0, 1), default (0.9, 0.999)
        Where between :math:`z` and :math:`x` the gradient is taken, and the decay of ``state["v"]``.
    eps : float, default 1e-8
        Added outside the root, after the bias correction.
    weight_decay : float, default 0
        Decoupled from `v`, scaled by `lr`, and taken at :math:`w`.
    warmup_steps : int, default 0
        In the first of so many steps `lr` is multiplied by ``t / warmup_steps``.
    r, weight_lr_power : float, default 0 and 2
        :math:`c` is the weight of step t, :math:`t^r\, (\max_{s \le t} lr_s)^{weight\_lr\_power}`, over the sum of the
        weights so far.
    **common
        See :class:`fusedoptim.Common`.

    Raises
    ------
    TypeError, ValueError
        where an argument is of the wrong kind or outside its domain.

    Notes
    -----
    *When to use it.* Where the end of training is not known, so that no schedule can fall to it.

    *Usual learning rates.* 1e-3 … 1e-2, constant after `warmup_steps`: its authors take 1 to 10 times that of AdamW.

    What :class:`ScheduleFreeSGD` says of normalization layers, state dicts and groups holds here too.

    *Deviations.*

    - the authors' code: is switched by `train()` and `eval()`, which move the weights back and forth with rounding;
      :meth:`~ScheduleFreeAdamW.averaged` puts back the very weights.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([1.0])
    >>> opt = fo.ScheduleFreeAdamW(w, lr=0.25, betas=(0.5, 0.999), eps=0.0)
    >>> for _ in range(2):
    ...     opt.step(np.array([3.0]))  # z: 0.75, then 0.5
    >>> with opt.averaged():
    ...     print(w.round(6))
    [0.625]

    References
    ----------
    Defazio et al., "The Road Less Scheduled", NeurIPS 2024, arXiv:2405.15682.
    """

    rule = "schedule_free_adamw"
    beta = "beta1"

    def __init__(
        self,
        params: N,
        lr: float | Schedule = 2.5e-3,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        warmup_steps: int = 0,
        r: float = 0.0,
        weight_lr_power: float = 2.0,
        **common: Unpack[Common],
    ) -> None:
        arguments = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "warmup_steps": warmup_steps}
        super().__init__(params, arguments | {"r": r, "weight_lr_power": weight_lr_power}, **common)
