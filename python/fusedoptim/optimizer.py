"""What all optimizers have in common: parameters, state, and the step."""

import inspect
from collections.abc import Iterable, Mapping, Set
from typing import Any, ClassVar, TypedDict

import numpy as np
from numpy.typing import NDArray

from fusedoptim import _core, tree
from fusedoptim.schedules import Schedule
from fusedoptim.threads import positive, thread_count

Nest = NDArray[Any] | dict[Any, Any] | list[Any] | tuple[Any, ...]


class Common(TypedDict, total=False):
    """Keywords that every optimizer takes.

    accumulate
        Number M of minibatches whose gradients are averaged into one update: calls 1 … M−1 of
        :meth:`fusedoptim.Optimizer.step` add up, call M updates with the mean. Default 1.
    num_threads
        Threads of a step; default :func:`fusedoptim.get_num_threads`.
    """

    accumulate: int
    num_threads: int | None


class Optimizer:
    """The base of all optimizers: it owns the state, and checks everything before it changes anything.

    Attributes
    ----------
    params : the nest of arrays, as given. They are updated in place.
    state : dict of the running averages and the like, each a nest as `params`, all zero at first.
    t : number of updates done.
    """

    rule: ClassVar[str]
    registry: ClassVar[dict[str, type["Optimizer"]]] = {}

    def __init_subclass__(cls) -> None:
        if "rule" in vars(cls):
            Optimizer.registry[cls.rule] = cls

    def __init__(self, params: Nest, hyper: Mapping[str, float | Schedule], *, rows: int = 1, **common: Any) -> None:
        if unknown := common.keys() - Common.__annotations__.keys():
            raise TypeError(
                f"unknown keyword {min(unknown)!r} for {type(self).__name__}{inspect.signature(type(self))}"
            )
        self.params = params
        self.t = 0
        self._accumulate = positive("accumulate", common.get("accumulate", 1))
        self._accumulated = 0  # gradients in the sum
        num_threads = common.get("num_threads")
        self._num_threads = 0 if num_threads is None else thread_count("num_threads", num_threads)

        # The values that go into the next step, in the order of the rule; t is one of them unless it is given.
        self._names = _core.rule_hypers[self.rule]
        self._values: list[Any] = [hyper.get(name, 1) for name in self._names]
        self._lr_at = self._names.index("lr")
        self._t_at = self._names.index("t") if "t" in self._names and "t" not in hyper else None
        if self._accumulate > 1:
            self._values.append(self._accumulate)

        self._skeleton = tree.skeleton(params)
        paths = tree.paths(self._skeleton)
        weights = tree.leaves(self._skeleton, params, "params")
        for path, weight in zip(paths, weights, strict=True):
            _core.check_weight(weight, path)
        layout = [("grad_sum", False)] * (self._accumulate > 1) + _core.rule_states[self.rule]
        states = [
            [np.zeros((rows, *w.shape) if has_rows else w.shape, w.dtype) for _, has_rows in layout] for w in weights
        ]
        self.state: dict[str, Nest] = {
            name: tree.build(self._skeleton, iter([arrays[k] for arrays in states]))
            for k, (name, _) in enumerate(layout)
        }
        self._plan = _core.Plan(self.rule, paths, weights, states, self._accumulate > 1)
        self.lr = hyper["lr"]

    @property
    def lr(self) -> float | Schedule:
        """The learning rate: a number, or a callable that gives it for each step t = 1, 2, …"""
        return self._lr

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        values = list(self._values)
        values[self._lr_at] = lr(self.t + 1) if callable(lr) else lr
        self._plan.check(values)
        self._lr = lr
        self._values = values

    def step(self, grads: Nest) -> None:
        """Updates the parameters with their gradients, a nest as `params`, which is only read.

        Raises
        ------
        TypeError, ValueError
            where a gradient is not a C-contiguous array of its weight's shape and dtype, or overlaps a weight or a
            state; no weight and no state has changed then.
        """
        leaves = tree.leaves(self._skeleton, grads, "grads")
        if self._accumulated + 1 < self._accumulate:
            self._plan.accumulate(leaves, self._num_threads)
            self._accumulated += 1
            return
        t = self.t + 1
        if callable(self._lr):
            self._values[self._lr_at] = self._lr(t)
        if self._t_at is not None:
            self._values[self._t_at] = t
        self._plan.step(leaves, self._values, self._num_threads)
        self.t = t
        self._accumulated = 0

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that a later run needs besides the weights: a plain dict of numbers and arrays.

        A learning rate that is a schedule is left out: it belongs to the program that goes on.
        """
        state = {name: tree.map_leaves(np.copy, nest) for name, nest in self.state.items()}
        return {"t": self.t, "accumulated": self._accumulated, "hyper": self._hyper(), "state": state}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Goes on where :meth:`state_dict` was taken, with the same bits.

        Raises
        ------
        TypeError, ValueError
            where the dict is not of an optimizer of this kind over parameters like these; nothing has changed then.
        """
        _same_keys("the state dict", saved, ("t", "accumulated", "hyper", "state"))
        t, accumulated = saved["t"], saved["accumulated"]
        if t != 0:
            positive('the state dict\'s "t"', t)
        if accumulated not in range(self._accumulate):
            raise ValueError(f"the state dict has {accumulated!r} gradients summed, of {self._accumulate} an update")
        _same_keys('the state dict\'s "hyper"', saved["hyper"], self._hyper(), optional={"lr"})
        hyper = self._hyper() | dict(saved["hyper"])
        _same_keys('the state dict\'s "state"', saved["state"], self.state)
        values = [hyper.get(name, 1) for name in self._names] + self._values[len(self._names) :]
        self._plan.check(values)
        copies = []
        for name, nest in self.state.items():
            targets = tree.leaves(self._skeleton, nest, name)
            for path, target, source in zip(
                tree.paths(self._skeleton, name),
                targets,
                tree.leaves(self._skeleton, saved["state"][name], name),
                strict=True,
            ):
                if not isinstance(source, np.ndarray) or (source.shape, source.dtype) != (target.shape, target.dtype):
                    raise ValueError(
                        f"{path} must be an array of {target.dtype} and shape {target.shape}, got {source!r}"
                    )
                copies.append((target, source))
        for target, source in copies:
            np.copyto(target, source)
        self.t, self._accumulated, self._values = t, accumulated, values
        if "lr" in saved["hyper"]:
            self._lr = saved["hyper"]["lr"]

    def _hyper(self) -> dict[str, float]:
        """The hyper-parameters that stay the same from step to step."""
        moving = {"t"} if self._t_at is not None else set()
        if callable(self._lr):
            moving.add("lr")
        return {name: value for name, value in zip(self._names, self._values, strict=False) if name not in moving}


def _same_keys(name: str, got: Mapping[str, Any], wanted: Iterable[str], optional: Set[str] = frozenset()) -> None:
    if not isinstance(got, Mapping):
        raise TypeError(f"{name} must be a dict with the keys {sorted(wanted)}, got {type(got).__name__}")
    if got.keys() - optional != set(wanted) - optional:
        raise ValueError(f"{name} must have the keys {sorted(wanted)}, got {sorted(got)}")
