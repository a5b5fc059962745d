"""What all optimizers have in common: parameters in groups, their state, and the step."""

import inspect
import math
import threading
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypedDict

import numpy as np
from numpy.typing import NDArray

from fusedoptim import _core, errors, tree
from fusedoptim.arena import allocate
from fusedoptim.group import Group, Hyper
from fusedoptim.schedules import Schedule
from fusedoptim.threads import positive, thread_count

Array = NDArray[Any]
Nest = Array | dict[Any, Any] | list[Any] | tuple[Any, ...]


class Common(TypedDict, total=False):
    """Keywords that every optimizer takes.

    accumulate : int, default 1
        Number M of minibatches whose gradients are averaged into one update: calls 1 … M−1 of :meth:`Optimizer.step`
        add up, call M updates with the mean.
    clip_norm : float, optional
        The gradients of all groups together are scaled down to this norm where theirs is larger. They are not written:
        the scale goes into the update.
    clip_value : float, optional
        Each element of the gradient is clipped to [−clip_value, clip_value], after `clip_norm`.
    ema : float in [0, 1), optional
        Decay of a running average of the weights, ``ema ← decay·ema + (1 − decay)·w`` after each update, kept in
        ``state["ema"]`` and used by :meth:`Optimizer.using_ema`. It begins at the weights.
    maximize : bool, default False
        Ascend instead of descend.
    nonfinite : {"propagate", "skip", "raise"}, default "propagate"
        What to do where a gradient is infinite or NaN, or the norm overflows float64: update all the same; do not take
        the step, and count it in ``skipped``; or the same with an error that names the first such parameter.
    num_threads : int, optional
        Threads of a step; default :func:`fusedoptim.get_num_threads`.
    """

    accumulate: int
    clip_norm: float | None
    clip_value: float | None
    ema: float | None
    maximize: bool
    nonfinite: str
    num_threads: int | None


@dataclass
class Tensor:
    """One weight and what belongs to it."""

    path: str
    key: tuple[Any, ...]
    group: int
    weight: Array
    states: dict[str, Array]
    frozen: bool = False


class Turn:
    """One call at a time: another thread's is refused rather than raced with."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            errors.busy()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class Optimizer:
    """The base of all optimizers: it owns the state, and checks everything before it changes anything.

    Attributes
    ----------
    params : the nest of arrays as given, or a list with the nest of each group. They are updated in place.
    groups : list of :class:`~fusedoptim.group.Group`, whose hyper-parameters can be read and set.
    state : dict of the running averages and the like, each a nest as `params`.
    t : number of updates done.
    skipped : number of steps not taken for a gradient that was not finite.
    last_grad_norm : norm of the gradients of the last step, before clipping; None unless `clip_norm` or `nonfinite`
        asked for it.
    """

    rule: ClassVar[str]
    registry: ClassVar[dict[str, type["Optimizer"]]] = {}

    def __init_subclass__(cls) -> None:
        if "rule" in vars(cls):
            Optimizer.registry[cls.rule] = cls

    def __init__(self, params: Any, arguments: dict[str, Any], *, rows: int = 1, **common: Any) -> None:
        if unknown := common.keys() - Common.__annotations__.keys():
            raise TypeError(
                f"unknown keyword {min(unknown)!r} for {type(self).__name__}{inspect.signature(type(self))}"
            )
        self._options = _options(**common)
        self._nonfinite = common.get("nonfinite", "propagate")
        self._arguments = arguments
        self._rows = rows
        self._layout = [("grad_sum", False)] * (self._options.accumulate > 1) + _core.rule_states[self.rule]
        self._keeps_ema = common.get("ema") is not None
        self.t = self.skipped = self._accumulated = 0
        self.last_grad_norm: float | None = None
        self._turn = Turn()
        self._block: str | None = None  # the `with` block that the program is in
        self._pending: set[int] = set()  # the tensors updated in a `stepping` block
        self._any_frozen = self._grouped = False
        self.groups: list[Group] = []
        self._tensors: list[Tensor] = []
        grouped = isinstance(params, list | tuple) and len(params) > 0 and all(map(_is_group, params))
        self._extend(list(params) if grouped else [{"params": params}], grouped)

    @staticmethod
    def hyper(arguments: Hyper) -> Hyper:
        """The hyper-parameters of the rule (and `l2`) that the arguments of the class mean."""
        return arguments

    # -- groups --------------------------------------------------------------------------------------------------------

    def add_group(self, group: dict[str, Any]) -> None:
        """Adds parameters, ``{"params": nest, **hyper-parameters}``, with a state of zero. Their gradients come last."""
        if not _is_group(group):
            raise TypeError(f'a group must be a dict with the key "params", got {group!r}')
        with self._turn:
            self._refuse_amid("add a group")
            self._extend([group], grouped=True)

    def freeze(self, *keys: Any) -> None:
        """Leaves parameters out of the steps from now on: their gradients are not looked at. See :meth:`update`."""
        self._set_frozen(keys, True)

    def thaw(self, *keys: Any) -> None:
        """Takes frozen parameters in again; of an accumulated mean, with the gradients from now on."""
        self._set_frozen(keys, False)

    def _set_frozen(self, keys: tuple[Any, ...], frozen: bool) -> None:
        with self._turn:
            self._refuse_amid("freeze or thaw")
            found = {self._find(key) for key in keys}
            tensors = [replace(t, frozen=frozen) if i in found else t for i, t in enumerate(self._tensors)]
            self._plan = self._make_plan(self.groups, tensors)
            _drop_sums(was for was, now in zip(self._tensors, tensors, strict=True) if was.frozen and not now.frozen)
            self._tensors, self._any_frozen = tensors, any(tensor.frozen for tensor in tensors)

    def _extend(self, specs: list[dict[str, Any]], grouped: bool) -> None:
        """Adds groups, or raises before anything has changed."""
        groups, tensors = list(self.groups), list(self._tensors)
        if self.groups and not self._grouped:  # the nest becomes the first of a list
            tensors = [
                Tensor("[0]" + t.path, (0, *t.key), t.group, t.weight, t.states, t.frozen) for t in self._tensors
            ]
        for spec in specs:
            own = {key: value for key, value in spec.items() if key != "params"}
            if unknown := own.keys() - self._arguments.keys():
                takes = ", ".join(self._arguments)
                raise TypeError(f"unknown keyword {min(unknown)!r} in group {len(groups)}; a group takes {takes}")
            group = Group(self.rule, spec["params"], self.hyper, self._arguments | own)
            self._check_schedule(group.lr)
            skeleton = tree.skeleton(group.params)
            prefix: tuple[Any, ...] = (len(groups),) if grouped else ()
            keys = [prefix + key for key in tree.keys(skeleton)]
            weights = tree.leaves(skeleton, group.params, "params")
            tensors += self._make_tensors(keys, weights, len(groups))
            groups.append(group)
        plan = self._make_plan(groups, tensors)
        self.groups, self._tensors, self._plan, self._grouped = groups, tensors, plan, grouped
        self.params: Any = [group.params for group in groups] if grouped else groups[0].params
        self._skeleton = tree.skeleton(self.params)
        names = [name for name, _ in self._layout] + ["ema"] * self._keeps_ema
        self.state: dict[str, Any] = {
            name: tree.build(self._skeleton, iter([tensor.states[name] for tensor in tensors])) for name in names
        }

    def _make_tensors(self, keys: list[tuple[Any, ...]], weights: list[Array], group: int) -> list[Tensor]:
        paths = [tree.path(key) for key in keys]
        for path, weight in zip(paths, weights, strict=True):
            _core.check_weight(weight, path)
        states: list[dict[str, Array]] = [{} for _ in weights]
        for slot, (name, has_rows) in enumerate(self._layout, start=2):
            shapes = [((self._rows, *w.shape) if has_rows else w.shape, w.dtype) for w in weights]
            for state, array in zip(states, allocate(shapes, slot), strict=True):
                state[name] = array
        if self._keeps_ema:
            averages = allocate([(w.shape, w.dtype) for w in weights], slot=2 + len(self._layout))
            for state, weight, average in zip(states, weights, averages, strict=True):
                np.copyto(average, weight)
                state["ema"] = average
        return [Tensor(*each) for each in zip(paths, keys, [group] * len(keys), weights, states, strict=True)]

    def _make_plan(self, groups: list[Group], tensors: list[Tensor]) -> _core.Plan:
        plan = _core.Plan(self.rule, len(groups))
        for tensor in tensors:
            if not tensor.frozen:
                arrays = [tensor.weight, *(tensor.states[name] for name, _ in _core.rule_states[self.rule])]
                plan.add(tensor.group, tensor.path, arrays, tensor.states.get("grad_sum"), tensor.states.get("ema"))
        plan.finish()
        return plan

    @property
    def lr(self) -> float | Schedule:
        """The learning rate of the first group: a number, or a callable that gives it for each step t = 1, 2, …

        Setting it sets that of all groups.
        """
        lr: float | Schedule = self.groups[0].lr
        return lr

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        self._check_schedule(lr)
        for group in self.groups:
            group.lr = lr

    def _check_schedule(self, lr: float | Schedule) -> None:
        """Refuses at once a schedule that cannot give the next step its rate."""
        if callable(lr):
            _core.check_hyper(self.rule, "lr", lr(self.t + 1))

    # -- steps ---------------------------------------------------------------------------------------------------------

    def step(self, grads: Nest | None = None, *, grad_scale: float = 1.0, zero_grads: bool = False) -> None:
        """Updates the parameters with their gradients.

        Parameters
        ----------
        grads : nest as `params`, or None for the gradients given to :meth:`bind`
            They are only read, unless `zero_grads`.
        grad_scale : float, default 1
            Divides the gradients: the factor by which the loss was scaled. Must stay the same within an `accumulate`.
        zero_grads : bool, default False
            Sets the gradients to zero in the same pass, also of a step that is skipped. No two may share memory then.

        Raises
        ------
        TypeError, ValueError
            where a gradient is not a C-contiguous array of its weight's shape and dtype, or overlaps a weight or a
            state; no weight and no state has changed then.
        FloatingPointError
            where a gradient is not finite and ``nonfinite="raise"``.
        """
        with self._turn:
            self._refuse_amid("step")
            self._step(grads, grad_scale, zero_grads)

    def _step(self, grads: Nest | None, grad_scale: float, zero_grads: bool) -> None:
        options = self._options
        if grad_scale != options.grad_scale:
            self._set_grad_scale(grad_scale)
        options.zero_grads = zero_grads
        leaves = None if grads is None else self._unfrozen(grads)
        if self._accumulated + 1 < options.accumulate:
            self._plan.accumulate(leaves, options)
            self._accumulated += 1
            return
        t = self.t + 1
        values = [group.at(t) for group in self.groups]
        norm = self._plan.step(leaves, values, options)
        if norm is not None:
            self.last_grad_norm = norm
            if options.require_finite and not math.isfinite(norm):
                self._skip(self._plan.bound if leaves is None else leaves, norm)
                return
        self.t = t
        self._accumulated = 0

    def bind(self, grads: Nest) -> None:
        """Checks gradients that stay where they are, once: :meth:`step` without any then reads these.

        A step that is given others ends this, and so does any change of what is stepped. The arrays must be writeable,
        are kept alive, and no two may share memory; neither they nor the weights may be resized.
        """
        with self._turn:
            self._plan.bind(self._unfrozen(grads))

    @contextmanager
    def stepping(self) -> Iterator[None]:
        """One step, in which :meth:`update` takes each parameter as soon as its gradient exists.

        A parameter left out keeps its weight and its state. What needs all gradients at once cannot be had here:
        `clip_norm`, `nonfinite` and `accumulate`.
        """
        options = self._options
        if options.require_finite or options.clip_norm < math.inf or options.accumulate > 1:
            raise ValueError("clip_norm, nonfinite and accumulate need all gradients at once; call step() instead")
        with self._inside("stepping", "begin a step"):
            try:
                yield
            finally:
                self.t += bool(self._pending)
                self._pending.clear()

    def update(self, key: Any, grad: Array, *, grad_scale: float = 1.0, zero_grads: bool = False) -> None:
        """Steps one parameter, while its gradient is hot in cache; only within :meth:`stepping`.

        `key` is its place in the nest: ``"w1"`` for ``params["w1"]``, ``("layer", 0)`` for ``params["layer"][0]``, ``()``
        for a single array.
        """
        with self._turn:
            self._update(key, grad, grad_scale, zero_grads)

    def _update(self, key: Any, grad: Array, grad_scale: float, zero_grads: bool) -> None:
        if self._block != "stepping":
            raise RuntimeError("update() works inside `with opt.stepping():`, which counts the step")
        index = self._find(key)
        tensor = self._tensors[index]
        if index in self._pending:
            raise ValueError(f"params{tensor.path} was updated in this step already")
        if tensor.frozen:
            raise ValueError(f"params{tensor.path} is frozen; thaw({key!r}) takes it in again")
        if grad_scale != self._options.grad_scale:
            self._set_grad_scale(grad_scale)
        self._options.zero_grads = zero_grads
        unfrozen = sum(not t.frozen for t in self._tensors[:index])
        self._plan.step_one(unfrozen, grad, [group.at(self.t + 1) for group in self.groups], self._options)
        self._pending.add(index)

    def _unfrozen(self, grads: Nest) -> list[Any]:
        leaves = tree.leaves(self._skeleton, grads, "grads")
        if self._any_frozen:
            return [leaf for leaf, tensor in zip(leaves, self._tensors, strict=True) if not tensor.frozen]
        return leaves

    def _set_grad_scale(self, grad_scale: float) -> None:
        _check_grad_scale("grad_scale", grad_scale)
        if self._accumulated > 0:
            was = self._options.grad_scale
            raise ValueError(f"grad_scale must stay {was!r} until the accumulated step is taken, got {grad_scale!r}")
        self._options.grad_scale = grad_scale

    def _skip(self, leaves: list[Array], norm: float) -> None:
        """The step that was not taken: drops the sum of gradients, counts, and tells if it should."""
        tensors = [tensor for tensor in self._tensors if not tensor.frozen]
        with np.errstate(over="ignore", invalid="ignore"):
            bad = (
                f"grads{tensor.path} is not finite"
                for tensor, leaf in zip(tensors, leaves, strict=True)
                if not np.isfinite(leaf + tensor.states.get("grad_sum", 0)).all()
            )
            what = next(bad, f"the norm of the gradients is {norm}") if self._nonfinite == "raise" else ""
        self.skipped += 1
        self._accumulated = 0
        _drop_sums(tensors)
        if self._nonfinite == "raise":
            raise FloatingPointError(f"{what}; the step was not taken")
        if self._options.zero_grads:
            for leaf in leaves:
                leaf[...] = 0

    def _find(self, key: Any) -> int:
        wanted = key if isinstance(key, tuple) else (key,)
        for index, tensor in enumerate(self._tensors):
            if tensor.key == wanted:
                return index
        raise KeyError(f"no parameter has the key {key!r}; there are {[t.key for t in self._tensors[:9]]}")

    def _refuse_amid(self, what: str) -> None:
        if self._block is not None:
            raise RuntimeError(f"cannot {what} inside `with opt.{self._block}():`")

    @contextmanager
    def _inside(self, block: str, what: str) -> Iterator[None]:
        with self._turn:
            self._refuse_amid(what)
            self._block = block
        try:
            yield
        finally:
            self._block = None

    # -- averaged weights ----------------------------------------------------------------------------------------------

    @property
    def ema_params(self) -> Any:
        """The running average of the weights, a nest as `params`; needs ``ema=decay``."""
        if "ema" not in self.state:
            raise AttributeError(f"{type(self).__name__} keeps no average of the weights; make it with ema=0.999")
        return self.state["ema"]

    @contextmanager
    def using_ema(self) -> Iterator[None]:
        """Swaps the averaged weights into `params` for the time of the ``with`` block, to evaluate with them."""
        pairs = list(zip(tree.leaves(self._skeleton, self.ema_params, "ema"), self._tensors, strict=True))

        def swap() -> None:
            for average, tensor in pairs:
                average[...], tensor.weight[...] = tensor.weight.copy(), average.copy()

        with self._inside("using_ema", "use the averaged weights"):
            swap()
            try:
                yield
            finally:
                swap()

    # -- state dicts ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that a later run needs besides the weights: a plain dict of numbers, arrays and the rule's name.

        A learning rate that is a schedule is left out: it belongs to the program that goes on.
        """
        with self._turn:
            self._refuse_amid("save a state")
            return self._save()

    def _save(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "t": self.t,
            "accumulated": self._accumulated,
            "grad_scale": self._options.grad_scale,
            "skipped": self.skipped,
            "groups": [group.numbers() for group in self.groups],
            "state": {name: tree.map_leaves(np.copy, nest) for name, nest in self.state.items()},
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Goes on where :meth:`state_dict` was taken, with the same bits.

        Raises
        ------
        TypeError, ValueError
            where the dict is not of an optimizer of this kind over parameters like these; nothing has changed then.
        """
        with self._turn:
            self._refuse_amid("load a state")
            self._load(saved)

    def _load(self, saved: Mapping[str, Any]) -> None:
        _same_keys("the state dict", saved, ("rule", "t", "accumulated", "grad_scale", "skipped", "groups", "state"))
        if saved["rule"] != self.rule:
            raise ValueError(f"the state dict is of the rule {saved['rule']!r}, this optimizer of {self.rule!r}")
        for name in ("t", "skipped"):
            if saved[name] != 0:
                positive(f'the state dict\'s "{name}"', saved[name])
        if saved["accumulated"] not in range(self._options.accumulate):
            most = self._options.accumulate
            raise ValueError(f"the state dict has {saved['accumulated']!r} gradients summed, of {most} an update")
        _check_grad_scale('the state dict\'s "grad_scale"', saved["grad_scale"])
        if not isinstance(saved["groups"], list) or len(saved["groups"]) != len(self.groups):
            raise ValueError(
                f'the state dict\'s "groups" must be a list of {len(self.groups)}, got {saved["groups"]!r}'
            )
        groups = []
        for group, numbers in zip(self.groups, saved["groups"], strict=True):
            _same_keys('the state dict\'s "groups"', numbers, group.numbers(), optional={"lr"})
            groups.append(group.replaced(numbers))
        _same_keys('the state dict\'s "state"', saved["state"], self.state)
        copies = []
        for name, nest in saved["state"].items():
            for tensor, array in zip(self._tensors, tree.leaves(self._skeleton, nest, name), strict=True):
                own, path = tensor.states[name], name + tensor.path
                if not isinstance(array, np.ndarray) or (array.shape, array.dtype) != (own.shape, own.dtype):
                    raise ValueError(f"{path} must be an array of {own.dtype} and shape {own.shape}, got {array!r}")
                copies.append((own, array))
        for own, array in copies:
            np.copyto(own, array)
        self.groups, self.t = groups, saved["t"]
        self._accumulated, self.skipped = saved["accumulated"], saved["skipped"]
        self._options.grad_scale = saved["grad_scale"]


def _drop_sums(tensors: Iterable[Tensor]) -> None:
    for tensor in tensors:
        if "grad_sum" in tensor.states:
            tensor.states["grad_sum"][...] = 0


def _check_grad_scale(name: str, value: Any) -> None:
    if not 0 < _number(value) < math.inf:
        raise ValueError(f"{name} must be a finite number > 0, got {value!r}")


def _is_group(spec: Any) -> bool:
    return isinstance(spec, dict) and "params" in spec


def _options(
    accumulate: int = 1,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    ema: float | None = None,
    maximize: bool = False,
    nonfinite: str = "propagate",
    num_threads: int | None = None,
) -> _core.Options:
    """The common keywords, checked."""
    options = _core.Options()
    options.accumulate = positive("accumulate", accumulate)
    for name, limit in ("clip_norm", clip_norm), ("clip_value", clip_value):
        if limit is not None:
            if not _number(limit) > 0:
                raise ValueError(f"{name} must be a number > 0, or None, got {limit!r}")
            setattr(options, name, float(limit))
    if ema is not None:
        if not 0 <= _number(ema) < 1:
            raise ValueError(f"ema must be a number in [0, 1), or None, got {ema!r}")
        options.ema = ema
    if nonfinite not in ("propagate", "skip", "raise"):
        raise ValueError(f'nonfinite must be "propagate", "skip" or "raise", got {nonfinite!r}')
    options.require_finite = nonfinite != "propagate"
    if not isinstance(maximize, bool | np.bool_):
        raise TypeError(f"maximize must be True or False, got {maximize!r}")
    options.maximize = bool(maximize)
    options.num_threads = 0 if num_threads is None else thread_count("num_threads", num_threads)
    return options


def _number(value: Any) -> float:
    """`value` if it is a number, else NaN, which no domain has."""
    try:
        return float(value) if isinstance(value, int | float | np.integer | np.floating) else math.nan
    except OverflowError:  # an int that no float can hold
        return math.nan


def _same_keys(name: str, got: Any, wanted: Iterable[str], optional: Set[str] = frozenset()) -> None:
    if not isinstance(got, Mapping):
        raise TypeError(f"{name} must be a dict with the keys {sorted(wanted)}, got {type(got).__name__}")
    if got.keys() - optional != set(wanted) - optional:
        raise ValueError(f"{name} must have the keys {sorted(wanted)}, got {sorted(got)}")
