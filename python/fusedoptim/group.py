"""Parameters that share their hyper-parameters."""

from collections.abc import Callable
from typing import Any

from fusedoptim import _core

Hyper = dict[str, Any]


class Group:
    """Parameters that share hyper-parameters, which are the attributes: ``opt.groups[0].lr = 1e-4``.

    A value that the optimizer would not take is refused when it is set. ``params`` is the nest of arrays.
    """

    params: Any
    _rule: str
    _to_hyper: Callable[..., Hyper]
    _arguments: dict[str, Any]
    _values: list[float]  # for the next step: the hyper-parameters of the rule, in order, and the L2 penalty
    _names: list[str]

    def __init__(self, rule: str, params: Any, to_hyper: Callable[..., Hyper], arguments: dict[str, Any]) -> None:
        vars(self).update(params=params, _rule=rule, _to_hyper=to_hyper, _names=_core.rule_hypers[rule])
        self._take(arguments, t=1)

    def __getattr__(self, name: str) -> Any:
        arguments = vars(self).get("_arguments", {})
        if name not in arguments:
            raise AttributeError(f"a group has no {name!r}; it has {', '.join(arguments)}")
        return arguments[name]

    def __setattr__(self, name: str, value: Any) -> None:
        getattr(self, name)
        self._take(self._arguments | {name: value}, t=1)

    def __repr__(self) -> str:
        return f"Group({', '.join(f'{name}={value!r}' for name, value in self._arguments.items())})"

    def _take(self, arguments: dict[str, Any], t: int) -> None:
        hyper = self._to_hyper(**arguments)
        lr = hyper["lr"](t) if callable(hyper["lr"]) else hyper["lr"]
        values = [{**hyper, "lr": lr}.get(name, 1) for name in self._names]
        for name, value in zip(self._names, values, strict=True):
            _core.check_hyper(self._rule, name, value)
        _core.check_hyper(self._rule, "weight_decay", hyper.get("l2", 0.0))
        vars(self).update(
            _arguments=arguments,
            _values=[*values, hyper.get("l2", 0.0)],
            _lr_at=self._names.index("lr") if callable(hyper["lr"]) else None,
            _t_at=self._names.index("t") if "t" in self._names and "t" not in hyper else None,
        )

    def _numbers(self) -> dict[str, Any]:
        """The arguments, without a schedule."""
        return {name: value for name, value in self._arguments.items() if not callable(value)}

    def _with(self, numbers: dict[str, Any]) -> "Group":
        """A group of the same parameters and other numbers."""
        if unknown := numbers.keys() ^ self._arguments.keys() - (
            {"lr"} if callable(self.lr) or "lr" not in numbers else set()
        ):
            raise ValueError(f"the groups differ in {sorted(unknown)}")
        return Group(self._rule, self.params, self._to_hyper, self._arguments | numbers)

    def _at(self, t: int) -> list[float]:
        """The values of step t."""
        if self._lr_at is not None:
            self._values[self._lr_at] = self._arguments["lr"](t)
        if self._t_at is not None:
            self._values[self._t_at] = t
        return self._values
