"""Classes for the optimizers of this package that torch has not, made from their signatures."""

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch.optim import Optimizer

import fusedoptim.optim as ours
from fusedoptim import _core
from fusedoptim.core.groups import Hyper
from fusedoptim.torch.optimizer import Fused
from fusedoptim.torch.rules import RULES, Group, Rules

LEFT_OUT = {"Optimizer", "PolyakSGD"}  # which asks for the loss
TORCHS = {"RMSProp", *RULES}


class OfOwn(Rules):
    """What the optimizer over one small weight says."""

    precision = torch.float64
    takes_sparse = True

    def __init__(self, optimizer: type[ours.Optimizer[Any]]) -> None:
        super().__init__()
        signature = inspect.signature(optimizer).parameters.values()
        self.defaults = {each.name: each.default for each in signature if each.name not in ("params", "common")}
        self.moves = optimizer.carried is not None
        self.carried = {name: name for name in optimizer.carried or {}}
        self._optimizer = optimizer
        self.noise = "noise" if optimizer is ours.NoisySGD else None
        self._known: dict[Any, ours.Optimizer[Any]] = {}

    def _made(self, group: Group) -> ours.Optimizer[Any]:
        arguments = {name: group[name] for name in self.defaults if name != "lr"}
        key = tuple(arguments.values())
        if key not in self._known:
            self._known.clear()
            self._known[key] = self._optimizer(np.zeros((1, 1)), **arguments)
        return self._known[key]

    def check(self, group: Group) -> None:
        made = self._made(group)
        _core.check_hyper(made.rule, "lr", group["lr"])

    def rule(self, group: Group) -> str:
        return self._made(group).rule

    def kind(self, group: Group) -> tuple[Any, ...]:
        return self.rule(group), self.slots(group)

    def slots(self, group: Group) -> int:
        return self._made(group)._slots

    def hyper(self, rule: str, group: Group) -> Hyper:
        of_group = self._made(group).groups[0]
        return dict(zip([*_core.rule_hypers[rule], "l2"], of_group._values, strict=True)) | {"lr": group["lr"]}

    def states(self, rule: str, n_axes: int) -> dict[str, str | None]:
        return {name: name for name, _ in _core.rule_states[rule]}

    def initial(self, name: str, group: Group) -> Any:
        made = self._made(group)
        if name in self.carried:
            return (made.carried or {})[name]
        return made.initial(name, np.zeros((1, 1)), made.groups[0]._arguments) or 0.0

    def carry(self, t: int, hyper: Hyper, group: Group, carried: dict[str, float]) -> tuple[Hyper, dict[str, float]]:
        made = self._made(group)
        return made.carry(t, made.groups[0]._arguments | hyper, carried)

    def refuse_sparse(self, name: str, group: Group) -> None:
        if self.rule(group) not in _core.rules_of_rows:
            raise RuntimeError(f"{name} does not support sparse gradients: make the gradient dense with sparse=False")


class Own(Fused, Optimizer):
    """An optimizer of this package over tensors of torch."""

    _rules: ClassVar[OfOwn]

    def __init__(self, params: Any, lr: float | None = None, *, maximize: bool = False, **given: Any) -> None:
        known = self._rules.defaults
        arguments = known | {name: given.pop(name) for name in list(given) if name in known} | {"maximize": maximize}
        arguments["lr"] = known["lr"] if lr is None else lr
        super().__init__(params, arguments, **given)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        try:
            self._rules.check(self.param_groups[-1])
        except BaseException:
            del self.param_groups[-1]
            raise


def _signature(optimizer: type[Any]) -> inspect.Signature:
    """The one of the optimizer, with what the classes here take besides."""
    common = [each for each in inspect.signature(Fused).parameters.values() if each.kind is each.KEYWORD_ONLY]
    maximize = inspect.Parameter("maximize", inspect.Parameter.KEYWORD_ONLY, default=False)
    of_optimizer = [each for each in inspect.signature(optimizer).parameters.values() if each.name != "common"]
    return inspect.Signature([*of_optimizer, maximize, *common])


def _class_of(name: str) -> type[Own]:
    optimizer = getattr(ours, name)
    doc = f"""{optimizer.__doc__.partition(chr(10))[0]}

    :class:`fusedoptim.{name}` over tensors of torch: its arguments, with those of every class of ``fusedoptim.torch``.
    """
    return type(
        name,
        (Own,),
        {
            "_rules": OfOwn(optimizer),
            "__doc__": doc,
            "__signature__": _signature(optimizer),
            "__module__": "fusedoptim.torch",
        },
    )


CLASSES: Mapping[str, type[Own]] = {
    name: _class_of(name) for name in ours.__all__ if name not in LEFT_OUT and name not in TORCHS
}
