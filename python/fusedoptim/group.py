"""Parameters that share their hyper-parameters."""

from collections.abc import Callable
from typing import Any

from fusedoptim import _core

Hyper = dict[str, Any]


def l2_penalty(arguments: Hyper) -> Hyper:
    """For a rule without a decay of its own: `weight_decay` is the L2 penalty of the step."""
    return {"l2" if name == "weight_decay" else name: value for name, value in arguments.items()}


class Group:
    """Parameters that share hyper-parameters, which are the attributes: ``opt.groups[0].lr = 1e-4``.

    A value that the optimizer would not take is refused when it is set, and so is a name it does not have. A group takes
    the hyper-parameters of its class; the keywords of :class:`~fusedoptim.options.Common` hold for all groups.

    Attributes
    ----------
    params : nest of arrays

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
    _rule: str
    _to_hyper: Callable[[Hyper], Hyper]
    _arguments: dict[str, Any]
    _values: list[Any]  # what a step takes: the hyper-parameters of the rule, in order, and the L2 penalty; None means t
    _lr_at: int | None  # where in the values the learning rate is, if it is a schedule

    def __init__(self, rule: str, params: Any, to_hyper: Callable[[Hyper], Hyper], arguments: dict[str, Any]) -> None:
        vars(self).update(params=params, _rule=rule, _to_hyper=to_hyper, _values=[])
        self._take(arguments)

    def __getattr__(self, name: str) -> Any:
        arguments = vars(self).get("_arguments", {})
        if name not in arguments:
            raise AttributeError(f"a group has no {name!r}; it has {', '.join(arguments)}")
        return arguments[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self.__getattr__(name)  # refuses what is no hyper-parameter
        self._take(self._arguments | {name: value})

    def __repr__(self) -> str:
        return f"Group({', '.join(f'{name}={value!r}' for name, value in self._arguments.items())})"

    def numbers(self) -> dict[str, Any]:
        """The hyper-parameters, without a learning rate that is a schedule."""
        return {name: value for name, value in self._arguments.items() if not callable(value)}

    def replaced(self, numbers: dict[str, Any]) -> "Group":
        """A group of the same parameters with other numbers."""
        return Group(self._rule, self.params, self._to_hyper, self._arguments | numbers)

    def _take(self, arguments: dict[str, Any]) -> None:
        hyper = {"l2": 0.0} | self._to_hyper(arguments)
        names = [*_core.rule_hypers[self._rule], "l2"]
        lr_at = names.index("lr") if callable(hyper["lr"]) else None  # a schedule is checked as it goes
        values = [1 if k == lr_at else hyper.get(name, 1) for k, name in enumerate(names)]
        for name, value in zip(names, values, strict=True):
            _core.check_hyper(self._rule, name, value)
        if "t" in names and "t" not in hyper:
            values[names.index("t")] = None
        self._values[:] = values
        vars(self).update(_arguments=arguments, _lr_at=lr_at)
