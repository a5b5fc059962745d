"""The hyper-parameters of a group of torch's, as a rule has them."""

from operator import itemgetter
from typing import Any

from torch import Tensor

from fusedoptim import _core
from fusedoptim.torch.rules import Group, Rules

WHY = {"capturable": "a graph of a GPU holds no step of the CPU", "differentiable": "autograd sees nothing of a step"}


def refuse_flags(group: Group) -> None:
    for name, why in WHY.items():
        if group.get(name):
            raise ValueError(f"{name}=True is not supported, for {why}: leave it out, or take the class of torch.optim")


def has_found_inf(attributes: dict[str, Any]) -> bool:
    """Whether a GradScaler, which tells an optimizer so by an attribute, has found a gradient that is not finite."""
    return float(attributes.get("found_inf", 0.0)) != 0


class Numbers:
    """Read again where they have changed. A learning rate alone, which schedulers set, takes no time."""

    def __init__(self, rules: Rules, group: dict[str, Any], names: list[str]) -> None:
        self.group, self.params = group, group["params"]
        self.kind = rules.kind(group)
        self.values: list[Any] = []
        self.ascends = False
        self._hyper: dict[str, Any] = {}
        self._rules = rules
        self._names = [*_core.rule_hypers[self.kind[0]], "l2"]
        self._lr_at = self._names.index("lr")
        self._read, self._known = itemgetter(*names), None
        self.renew()

    def renew(self) -> bool:
        """False where they are those of another kind now, or of other parameters."""
        if self.group["params"] is not self.params:
            return False
        known = self._read(self.group)
        if known != self._known and not self._set(known):
            return False
        lr = self.group["lr"]
        self.values[self._lr_at] = lr if type(lr) is float else float(lr)
        return True

    def _set(self, known: Any) -> bool:
        refuse_flags(self.group)
        if self._rules.kind(self.group) != self.kind:
            return False
        self._hyper = self._rules.hyper(self.kind[0], self.group)
        values = {"t": None, "l2": 0.0} | self._hyper
        self.values[:] = [None if values[name] is None else float(values[name]) for name in self._names]
        self.ascends = bool(self.group.get("maximize", False))
        self._known = _by_value(known)
        return True

    def at(self, t: int, carried: dict[str, float]) -> tuple[list[Any], dict[str, float]]:
        """The values of step t, where they move, and what is carried on."""
        hyper = {name: value for name, value in zip(self._names, self.values, strict=True) if value is not None}
        own, after = self._rules.carry(t, hyper, self.group, carried)
        return [own.get(name, value) for name, value in zip(self._names, self.values, strict=True)], after


def _by_value(known: Any) -> Any:
    """Numbers in place of tensors, which can change in place."""
    if isinstance(known, tuple):
        return tuple(map(_by_value, known))
    return known.item() if isinstance(known, Tensor) else known
