"""Parameters that share their hyper-parameters."""

import math
import weakref
from typing import Any, ClassVar, Protocol

from fusedoptim import _core
from fusedoptim.core.checks import by_value, flag, sequence
from fusedoptim.core.lock import wholly
from fusedoptim.schedules import Schedule

Hyper = dict[str, Any]
Carried = dict[int, dict[str, float]]  # {n: what n steps have left for the next}: of those done, and of one more


class Kind(Protocol):
    """What a group asks of the class of its optimizer."""

    carried: ClassVar[dict[str, float] | None]

    @classmethod
    def hyper(cls, rule: str, arguments: Hyper) -> Hyper: ...

    @classmethod
    def carry(cls, t: int, hyper: Hyper, carried: dict[str, float]) -> tuple[Hyper, dict[str, float]]: ...


def to_hyper(rule: str, arguments: Hyper) -> Hyper:
    """What the arguments of a class are called in its rule, and `l2` for the L2 penalty of a rule without decay.

    ``betas`` are ``beta1``, ``beta2`` …, and at ``t = inf`` the bias is nil, and so is its correction.
    """
    names, hyper = _core.rule_hypers[rule], dict(arguments)
    if "betas" in hyper:
        betas, wanted = hyper.pop("betas"), [name for name in names if name[:-1] == "beta"]
        count = {2: "a pair of", 3: "three"}[len(wanted)]
        sequence("betas", betas, len(wanted), f"{count} numbers in [0, 1)")
        hyper |= zip(wanted, betas, strict=True)
    if not flag("bias_correction", hyper.pop("bias_correction", True)):
        hyper["t"] = math.inf
    if "weight_decay" not in names:
        hyper["l2"] = hyper.pop("weight_decay", 0.0)
    return hyper


class Group:
    """Parameters that share hyper-parameters, which are the attributes: ``opt.groups[0].lr = 1e-4``.

    A value that the optimizer would not take is refused when it is set, and so is a name it does not have. A group takes
    the hyper-parameters of its class; the keywords of :class:`~fusedoptim.Common` hold for all groups.

    Attributes
    ----------
    params : nest of arrays
    current_lr : float
        The learning rate of the next step, also where `lr` is a schedule. It cannot be set.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> opt = fo.Momentum([{"params": np.zeros(2), "lr": 0.5}, {"params": np.zeros(3)}], lr=0.1)
    >>> opt.groups[1].beta = 0.5
    >>> opt.groups
    [Group(lr=0.5, beta=0.9, weight_decay=0.0), Group(lr=0.1, beta=0.5, weight_decay=0.0)]
    >>> opt.groups[0].beta = 1.5
    Traceback (most recent call last):
    ValueError: beta must be a number in [0, 1), got 1.5
    """

    params: Any
    lr: float | Schedule
    _optimizer: type[Kind]
    _rule: str
    _arguments: dict[str, Any]
    _hyper: Hyper  # what the arguments mean to the class
    _values: list[Any]  # the hyper-parameters of the rule, in its order, and the L2 penalty; None means t
    _lr_at: int  # where in the values the learning rate is
    _owner: Any  # a weak proxy of the optimizer, which knows t; no part of a copy
    _moves: bool  # whether the learning rate is a schedule
    _stale: bool  # whether something was set since the values were those of a step

    def __init__(self, optimizer: type[Kind], rule: str, params: Any, arguments: dict[str, Any]) -> None:
        vars(self).update(params=params, _optimizer=optimizer, _rule=rule, _values=[])
        self._set(arguments)

    def __getattr__(self, name: str) -> Any:
        arguments = vars(self).get("_arguments", {})
        if name not in arguments:
            raise AttributeError(f"a group has no {name!r}; it has {', '.join(arguments)}")
        return arguments[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self.__getattr__(name)  # refuses what is no hyper-parameter
        if name == "lr":
            value = by_value("lr", value)
            if not callable(value):
                _core.check_hyper(self._rule, "lr", value)
            wholly(lambda: self._set_lr(value))
        else:
            self._set(self._arguments | {name: value})

    def __repr__(self) -> str:
        return f"Group({self._words()})"

    def _words(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self._arguments.items())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_owner"}

    def _belong_to(self, optimizer: Any) -> None:
        vars(self)["_owner"] = weakref.proxy(optimizer)

    @property
    def current_lr(self) -> float:
        """The learning rate of the optimizer's next step, a number."""
        lr: Any = self._arguments["lr"]
        rate: float = lr(self._owner.t + 1) if callable(lr) else lr
        return rate

    def _numbers(self) -> dict[str, Any]:
        """The hyper-parameters, without a learning rate that is a schedule."""
        return {name: value for name, value in self._arguments.items() if not callable(value)}

    def replaced(self, numbers: dict[str, Any]) -> "Group":
        """A group of the same parameters with other numbers."""
        return Group(self._optimizer, self._rule, self.params, self._arguments | numbers)

    def at(self, t: int, lr: float | None = None) -> list[Any]:
        """The values of step t of the optimizer, for all that a group does not carry from step to step.

        They are the group's own, or where that step has a rate to itself, a copy with it.
        """
        values = self._values if lr is None else list(self._values)
        rate = self._arguments["lr"] if lr is None else lr
        values[self._lr_at] = by_value("lr", rate(t)) if callable(rate) else rate
        vars(self)["_stale"] = False
        return values

    def carry(self, values: list[Any], steps: int, before: dict[str, float]) -> tuple[list[Any], dict[str, float]]:
        """The values of the next step of tensors that have taken so many, and what that leaves for the one after it."""
        names, rate = list(_core.rule_hypers[self._rule]), values[self._lr_at]
        _core.check_hyper(self._rule, "lr", rate)
        # In double, whatever numbers they are.
        numbers = {name: float(value) for name, value in (self._hyper | {"lr": rate}).items() if name in names}
        given, after = self._optimizer.carry(steps + 1, self._arguments | numbers, before)
        return [given.get(name, value) for name, value in zip([*names, "l2"], values, strict=True)], after

    def _set_lr(self, lr: Any) -> None:
        """Makes this the learning rate, a schedule or a number that was checked: no other value depends on it."""
        scheduled, own = callable(lr), vars(self)
        self._values[self._lr_at] = 0.0 if scheduled else lr
        self._arguments["lr"] = self._hyper["lr"] = lr
        own["_moves"] = scheduled
        own["_stale"] = True

    def _set(self, arguments: dict[str, Any]) -> None:
        """Makes these the arguments, or raises where the rule does not take them."""
        arguments = {name: by_value(name, value) for name, value in arguments.items()}
        hyper = self._optimizer.hyper(self._rule, arguments)
        names = [*_core.rule_hypers[self._rule], "l2"]
        values: list[Any] = [0.0] * len(names)
        for k, name in enumerate(names):
            if name in hyper and not (name == "lr" and callable(hyper["lr"])):  # a schedule is checked as it goes
                _core.check_hyper(self._rule, name, hyper[name])
                values[k] = hyper[name]
        if "t" in names and "t" not in hyper:
            values[names.index("t")] = None
        lr_at = names.index("lr")

        def commit() -> None:
            self._values[:] = values
            vars(self).update(_arguments=arguments, _hyper=hyper, _lr_at=lr_at)
            self._set_lr(hyper["lr"])

        wholly(commit)
