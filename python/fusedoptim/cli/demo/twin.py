"""The NumPy reference beside an optimizer: same weights, same gradients, and, it is hoped, same bits."""

from collections.abc import Callable
from typing import Any

import numpy as np

from fusedoptim import Optimizer, _core, reference
from fusedoptim.core import tree


class Twin:
    """A copy of an optimizer that has not stepped yet, run by the rule of :mod:`fusedoptim.reference`."""

    def __init__(self, opt: Optimizer) -> None:
        self.rule: Callable[..., None] = getattr(reference, opt.rule)
        self.names: dict[str, float] = _core.rule_hypers[opt.rule]
        self.opt = opt
        self.carried = opt.carried
        self.skeleton: Any = tree.skeleton(opt.params)
        self.weights: list[Any] = self._copies(opt.params)
        states = [self._copies(nest) for name, nest in opt.state.items() if name != "grad_sum"]
        self.arrays: list[tuple[Any, ...]] = list(zip(self.weights, *states, strict=True))
        self.t: int = 0
        self.summed: list[Any] = []  # the gradients of the minibatches since the last update, as many lists

    def step(self, grads: Any, t: int) -> None:
        """Follows a step of the optimizer, after which it has done `t` updates."""
        leaves = tree.leaves(self.skeleton, grads, "grads")
        if t == self.t:  # one of several minibatches, of which the last will update with the mean
            self.summed.append(leaves)
            return
        if self.summed:
            leaves = [sum(column) / len(column) for column in zip(*self.summed, leaves, strict=True)]
            self.summed = []
        self.t = t
        group = self.opt.groups[0]
        values = group.at(t)
        if self.carried is not None:
            values, self.carried = group.carry(values, t - 1, self.carried)
        values = [t if value is None else value for value in values]
        hyper = dict(zip(self.names, values, strict=False))
        for (w, *state), g in zip(self.arrays, leaves, strict=True):
            self.rule(w, g, *state, **hyper)

    def equals(self, opt: Optimizer) -> bool:
        """Whether all weights are equal to the bit."""
        weights = tree.leaves(self.skeleton, opt.params, "params")
        return all(a.tobytes() == b.tobytes() for a, b in zip(self.weights, weights, strict=True))

    def _copies(self, nest: Any) -> list[Any]:
        return [np.copy(leaf) for leaf in tree.leaves(self.skeleton, nest, "params")]
