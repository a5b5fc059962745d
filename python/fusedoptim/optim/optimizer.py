"""What all optimizers have in common: parameters in groups, their state, and the step."""

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, NoReturn

import numpy as np

from fusedoptim import _core
from fusedoptim.core import checks, tree
from fusedoptim.core.groups import Group, Hyper, to_hyper
from fusedoptim.core.lock import Turn, wholly
from fusedoptim.core.options import Common, make_options, options_from_dict, options_to_dict
from fusedoptim.core.row_grad import RowGrad
from fusedoptim.core.tensors import Array, Tensor, drop_sums, fill_plan, lay_out, make_tensors, places_of, state_layout
from fusedoptim.optim.stateful import Stateful
from fusedoptim.schedules import Schedule

Nest = Array | dict[Any, Any] | list[Any] | tuple[Any, ...]
Values = list[list[Any]]  # the hyper-parameters of each group, as its rule has them


class Optimizer(Stateful):
    """The base of all optimizers: it owns the state, and checks everything before it changes anything.

    Every optimizer is made from a nest of arrays, ``Adam(params, lr=1e-3)``, or from a list of groups,
    ``Adam([{"params": nest, "lr": 1e-3}, {"params": nest}])``, whose own hyper-parameters come before those of the call.

    Attributes
    ----------
    params : nest of arrays
        As given, or a list with the nest of each group. They are updated in place.
    groups : list of :class:`~fusedoptim.Group`
        Their hyper-parameters can be read and set.
    state : dict
        The running averages and the like by name, each a nest as `params`.
    t : int
        Number of updates done.
    lr : float or schedule
        The learning rate of the first group; setting it sets that of all.
    current_lr : float
        What the next step takes for it.
    skipped : int
        Number of steps not taken for a gradient that was not finite.
    last_grad_norm : float or None
        Norm of the gradients of the last step, unscaled and before clipping; None unless `clip_norm` or `nonfinite` asked
        for it.

    Examples
    --------
    >>> import numpy as np
    >>> import fusedoptim as fo
    >>> w = np.array([3.0, 4.0])
    >>> opt = fo.SGD(w, lr=1.0, clip_norm=2.5)
    >>> opt.step(w.copy())  # the gradient of |w|² / 2, of norm 5
    >>> w, opt.t, opt.last_grad_norm
    (array([1.5, 2. ]), 1, 5.0)
    >>> print(opt)
    SGD, t=1: 2 parameters in 1 tensor, 0 bytes of state
        lr=1.0, weight_decay=0.0
    """

    rule: str
    variants: ClassVar[tuple[str, ...]] = ()  # other rules, which arguments choose
    registry: ClassVar[dict[str, type["Optimizer"]]] = {}
    _follows: ClassVar[bool] = False  # whether a class has something to do after a step: see `_follow`

    def __init_subclass__(cls) -> None:
        for rule in (cls.rule, *cls.variants) if "rule" in vars(cls) else ():
            Optimizer.registry[rule] = cls
        cls._follows = cls._follow is not Optimizer._follow

    def __init__(
        self, params: Any, arguments: dict[str, Any], *, rule: str | None = None, slots: int = 1, **common: Any
    ) -> None:
        if unknown := common.keys() - Common.__annotations__.keys():
            own = [name for name in inspect.signature(type(self)).parameters if name != "common"]
            name = f"{type(self).__module__.partition('.')[0]}.{type(self).__name__}"
            see = f"help({name}), and help(fusedoptim.Common) for what all take"
            checks.unknown_keyword(min(unknown), f"for {type(self).__name__}", own, see, list(Common.__annotations__))
        if rule is not None:
            self.rule = rule
        self._options = make_options(**common)
        self._accumulate, self._grad_scale, self._zero_grads = self._options.accumulate, 1.0, False
        self._arguments = arguments
        self._slots = slots
        self._layout = state_layout(self.rule, self._options)
        self._plan = _core.new_plan(self.rule, 0)
        self._turn = Turn()
        self._block = self._block_lr = self._block_values = None
        self._any_frozen = self._grouped = False
        self.groups, self._tensors = [], []
        if _is_group(params) and _has_keywords(params, {*arguments, *Common.__annotations__}):
            raise TypeError("params is one group, with keywords of its own; pass it in a list: [{…}]")
        grouped = isinstance(params, list | tuple) and len(params) > 0 and all(map(_is_group, params))
        self._extend(list(params) if grouped else [{"params": params}], grouped)

    # What a class may say besides its arguments.

    @classmethod
    def hyper(cls, rule: str, arguments: Hyper) -> Hyper:
        """The hyper-parameters of the rule (and `l2`) that the arguments of the class mean.

        A learning rate means itself, and nothing else depends on it here: it may be a schedule, and is set without asking.
        """
        return to_hyper(rule, arguments)

    @classmethod
    def initial(cls, name: str, weight: Array, arguments: Hyper) -> Any:
        """The first value of a state array; None is zero."""
        return None

    @classmethod
    def carry(cls, t: int, hyper: Hyper, carried: dict[str, float]) -> tuple[Hyper, dict[str, float]]:
        """Hyper-parameters of step t, from those of the group and what it carries, and what is carried on.

        `hyper` has the arguments of the class, and over them, as floats, the hyper-parameters of the rule.
        """
        return {}, carried

    # -- groups --------------------------------------------------------------------------------------------------------

    def add_group(self, group: dict[str, Any]) -> None:
        """Adds parameters, with a state of zero. Their gradients come last.

        An optimizer that was made from one nest becomes one of two groups: `params`, `state` and the gradients are lists
        from then on. Bound gradients have to be bound again.

        Parameters
        ----------
        group : dict
            ``{"params": nest, **hyper-parameters}``; those left out are as in the call that made the optimizer.

        Raises
        ------
        TypeError, ValueError
            where a parameter or a hyper-parameter is refused, or an array is there already; nothing has changed then.
        RuntimeError
            within :meth:`stepping`.

        Notes
        -----
        `t` is the optimizer's, not the group's. Adam's bias correction is all but gone when a group comes late, so its
        first steps are longer: up to :math:`(1 - \\beta_1) / \\sqrt{1 - \\beta_2} = 3.2` times `lr` with the default betas.

        Examples
        --------
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> body, head = np.ones(2), np.ones(2)
        >>> opt = fo.SGD(body, lr=1.0)
        >>> opt.add_group({"params": head, "lr": 0.5})
        >>> opt.step([np.ones(2), np.ones(2)])
        >>> body, head
        (array([0., 0.]), array([0.5, 0.5]))
        """
        if not _is_group(group):
            raise TypeError(f'a group must be a dict with the key "params", got {checks.shown(group)}')
        with self._turn():
            self._refuse_amid("add a group")
            self._extend([group], grouped=True)

    def freeze(self, *keys: Any) -> None:
        """Leaves parameters out of the steps from now on: weight and state stay, and gradients are not looked at.

        Parameters
        ----------
        *keys
            Places in the nest, as in :meth:`update`.

        Raises
        ------
        KeyError
            where there is no such parameter; nothing has changed then.
        RuntimeError
            within :meth:`stepping`.

        Notes
        -----
        Bound gradients have to be bound again. A state dict does not tell what is frozen.

        Examples
        --------
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> params = {"w": np.ones(1), "b": np.ones(1)}
        >>> opt = fo.SGD(params, lr=1.0)
        >>> opt.freeze("b")
        >>> opt.step({"w": np.ones(1), "b": None})
        >>> params
        {'w': array([0.]), 'b': array([1.])}
        >>> opt.thaw("b")
        """
        self._set_frozen(keys, True)

    def thaw(self, *keys: Any) -> None:
        """Takes frozen parameters in again, with the state they had; of an accumulated mean, with the gradients from now on.

        Parameters
        ----------
        *keys
            Places in the nest, as in :meth:`update`.

        Raises
        ------
        KeyError, RuntimeError
            as :meth:`freeze`.
        """
        self._set_frozen(keys, False)

    def _set_frozen(self, keys: tuple[Any, ...], frozen: bool) -> None:
        with self._turn():
            self._refuse_amid("freeze or thaw")
            found = {self._find(key) for key in keys}
            tensors = [replace(t, frozen=frozen) if i in found else t for i, t in enumerate(self._tensors)]
            plan = self._make_plan(len(self.groups), tensors)
            places = places_of(tensors)

            def commit() -> None:
                pairs = zip(self._tensors, tensors, strict=True)
                drop_sums(was for was, now in pairs if was.frozen and not now.frozen)
                self._plan, self._tensors, self._places = plan, tensors, places
                self._any_frozen = any(tensor.frozen for tensor in tensors)

            wholly(commit)

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
                see = "help(fusedoptim.Group); what else there is holds for all groups, and is given beside them"
                checks.unknown_keyword(min(unknown), f"in group {len(groups)}", list(self._arguments), see)
            group = Group(type(self), self.rule, spec["params"], self._arguments | own)
            group._belong_to(self)
            self._check_lr(group.lr)
            skeleton = tree.skeleton(group.params)
            prefix: tuple[Any, ...] = (len(groups),) if grouped else ()
            keys = [prefix + key for key in tree.keys(skeleton)]
            weights = tree.leaves(skeleton, group.params, "params")
            initial = partial(self._initial, group)
            tensors += make_tensors(keys, weights, len(groups), self._layout, self._slots, initial)
            groups.append(group)
        plan = self._make_plan(len(groups), tensors)
        params = [group.params for group in groups] if grouped else groups[0].params
        skeleton = tree.skeleton(params)
        state = self._nests_of_states(skeleton, tensors)
        values = [group._values for group in groups]
        index, places = {tensor.key: k for k, tensor in enumerate(tensors)}, places_of(tensors)

        def commit() -> None:
            self.groups, self._tensors, self._plan, self._grouped = groups, tensors, plan, grouped
            self.params, self.state, self._skeleton, self._values = params, state, skeleton, values
            self._index, self._places = index, places

        wholly(commit)

    def _nests_of_states(self, skeleton: Any, tensors: list[Tensor]) -> dict[str, Any]:
        return {name: tree.build(skeleton, iter([t.states[name] for t in tensors])) for name, _ in self._layout}

    def _make_plan(self, n_groups: int, tensors: list[Tensor]) -> _core.Plan:
        """The compiled half of the optimizer, which checks the arrays, steps and counts."""
        plan = _core.new_plan(self.rule, n_groups)
        plan.counters = self._plan.counters
        return fill_plan(plan, self.rule, tensors)

    def _initial(self, group: Group, name: str, weight: Array) -> Any:
        return self.initial(name, weight, group._arguments)

    @property
    def lr(self) -> float | Schedule:
        """The learning rate of the first group: a number, or a callable that gives it for each step t = 1, 2, …

        Setting it sets that of all groups.
        """
        lr: float | Schedule = self.groups[0].lr
        return lr

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        self._check_lr(lr)

        def commit() -> None:
            for group in self.groups:
                group._set_lr(lr)

        wholly(commit)

    @property
    def current_lr(self) -> float:
        """The learning rate of the next step, a number, of the first group; each has its own ``current_lr``."""
        return self.groups[0].current_lr

    def _check_lr(self, lr: float | Schedule) -> None:
        """Refuses what is no rate, and at once a schedule that cannot give the next step its own."""
        _core.check_hyper(self.rule, "lr", lr(self.t + 1) if callable(lr) else lr)

    # -- steps ---------------------------------------------------------------------------------------------------------

    def step(
        self,
        grads: Nest | RowGrad | None = None,
        *,
        lr: float | None = None,
        grad_scale: float = 1.0,
        zero_grads: bool = False,
    ) -> None:
        """Updates the parameters with their gradients.

        Parameters
        ----------
        grads : nest as `params`, or None for the gradients given to :meth:`bind`
            They are only read, unless `zero_grads`. A :class:`~fusedoptim.RowGrad` in place of an array touches some rows
            alone; in place of one without axes there may be a number, unless it should be zeroed.
        lr : float, optional
            Learning rate of this step alone, in all groups. `lr` stays what it is, and so does that of each group. Of the
            minibatches of one update (`accumulate`) that of the last call counts.
        grad_scale : float, default 1
            Divides the gradients: the factor by which the loss was scaled. It must stay the same for all minibatches of
            one update (`accumulate`).
        zero_grads : bool, default False
            Sets the gradients to zero in the same pass, also of a step that is skipped. No two may share memory then.

        Raises
        ------
        TypeError, ValueError
            where a gradient is not a C-contiguous array of its weight's shape and dtype, or overlaps a weight or a
            state, or `lr` is refused; nothing has changed then.
        FloatingPointError
            where a gradient is not finite and ``nonfinite="raise"``.
        RuntimeError
            within :meth:`stepping`, or where another thread is inside a step of this optimizer.

        Examples
        --------
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> w, g = np.array([1.0, 2.0]), np.array([256.0, -256.0])
        >>> opt = fo.SGD(w, lr=0.5)
        >>> opt.step(g, grad_scale=256.0, zero_grads=True)
        >>> w, g
        (array([0.5, 2.5]), array([0., 0.]))
        """
        self._step(grads, lr, grad_scale, zero_grads)

    def _step(
        self,
        grads: Nest | RowGrad | None,
        lr: float | None,
        grad_scale: float,
        zero_grads: bool,
        values_at: Callable[[float, Values], Values] | None = None,
    ) -> None:
        """A step, whose hyper-parameters a class may compute from the norm of the gradients and what they are without.

        Every statement counts: a small model takes a microsecond to update.
        """
        if lr is not None:
            checks.rate(self.rule, lr)
        lock = self._turn.lock  # as `with self._turn()`, without a call
        if lock.locked():
            checks.busy()
        with lock:
            if self._block is not None:
                self._refuse_amid("step")
            if grad_scale != self._grad_scale or zero_grads is not self._zero_grads:
                self._set_call(grad_scale, zero_grads)
            leaves = None if grads is None else self._unfrozen(grads)
            if self._accumulate > 1 and self._accumulated + 1 < self._accumulate:
                self._plan.accumulate(leaves, self._options)
                return
            moves = lr is not None
            for group in self.groups:  # with no condition inside: core/lock.py
                moves |= group._moves
            values = self._values_now(lr) if moves else self._values
            if self._follows:
                t = self.t
                try:
                    self._plan.step(leaves, values, self._options, values_at)
                    self._follow(t)
                except BaseException:  # an interrupt is raised at the end of the step, or before the rest is done
                    self._follow(t)
                    raise
            else:
                self._plan.step(leaves, values, self._options, values_at)

    def _values_now(self, lr: float | None) -> Values:
        """The hyper-parameters of each group, at the step to come, which may have a rate to itself."""
        if lr is not None:
            return [group.at(self.t + 1, lr) for group in self.groups]
        for group in self.groups:
            if group._moves:
                group.at(self.t + 1)
        return self._values

    def _follow(self, t: int) -> None:
        """What a class has to do once the number of steps is another than t; it may do it twice."""

    def bind(self, grads: Nest) -> None:
        """Checks gradients that stay where they are, once: :meth:`step` without any then reads these.

        A step that is given others ends this, and so does what changes the set of parameters (:meth:`add_group`,
        :meth:`freeze`, :meth:`thaw`).

        Parameters
        ----------
        grads : nest as `params`
            Kept alive, and not checked again: neither they nor the weights may be resized. They must be writeable, and
            no two may share memory.

        Raises
        ------
        TypeError, ValueError
            as :meth:`step`.

        Examples
        --------
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> w, g = np.zeros(2), np.zeros(2)
        >>> opt = fo.SGD(w, lr=1.0)
        >>> opt.bind(g)
        >>> for _ in range(3):
        ...     g[:] = 1.0
        ...     opt.step()
        >>> w
        array([-3., -3.])
        """
        with self._turn():
            self._plan.bind(self._unfrozen(grads))

    @contextmanager
    def stepping(self, *, lr: float | None = None) -> Iterator[None]:
        """One step, in which :meth:`update` takes each parameter as soon as its gradient exists.

        A parameter left out keeps its weight and its state. What needs all gradients at once cannot be had here:
        `clip_norm`, `nonfinite` and `accumulate`. `t` counts one step at the end of the block, unless no parameter was
        updated in it, and also where the block ends in an exception: what was updated stays so.

        A schedule is asked once, at the first update. Other hyper-parameters can be set inside, and hold from the next
        update on; `t` cannot.

        Parameters
        ----------
        lr : float, optional
            Learning rate of this step alone, as for :meth:`step`.

        Raises
        ------
        TypeError, ValueError
            where one of those keywords was given, or `lr` is refused.
        RuntimeError
            within another such block.

        Examples
        --------
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> params = {"w1": np.ones(1), "w2": np.ones(1)}
        >>> opt = fo.SGD(params, lr=0.5)
        >>> with opt.stepping():
        ...     opt.update("w2", np.ones(1))  # as back-propagation reaches it
        ...     opt.update("w1", np.ones(1))
        >>> opt.t, params
        (1, {'w1': array([0.5]), 'w2': array([0.5])})
        """
        options = self._options
        if options.require_finite or options.clip_norm < math.inf or options.accumulate > 1:
            raise ValueError("clip_norm, nonfinite and accumulate need all gradients at once; call step() instead")
        if lr is not None:
            checks.rate(self.rule, lr)
        with self._inside("stepping", "begin a step", lr):
            t = self.t
            try:
                yield
            finally:
                try:
                    self._plan.end_block()
                finally:  # also after an interrupt
                    self._follow(t)

    def update(self, key: Any, grad: Array | RowGrad, *, grad_scale: float = 1.0, zero_grads: bool = False) -> None:
        """Steps one parameter, while its gradient is hot in cache; only within :meth:`stepping`, which has an example.

        Parameters
        ----------
        key
            Its place in the nest: ``"w1"`` for ``params["w1"]``, ``("layer", 0)`` for ``params["layer"][0]``, ``()`` for a
            single array. With groups it begins with the number of the group: ``(1, "w1")``.
        grad : array or RowGrad
            As for :meth:`step`.
        grad_scale, zero_grads
            As for :meth:`step`.

        Raises
        ------
        KeyError
            where there is no such parameter.
        TypeError, ValueError
            where the gradient is refused as by :meth:`step`, or the parameter is frozen or was updated in this step
            already; nothing has changed then.
        RuntimeError
            outside :meth:`stepping`.
        """
        lock = self._turn.lock
        if lock.locked():
            checks.busy()
        with lock:
            self._update(key, grad, grad_scale, zero_grads)

    def _update(self, key: Any, grad: Array | RowGrad, grad_scale: float, zero_grads: bool) -> None:
        if self._block != "stepping":
            raise RuntimeError("update() works inside `with opt.stepping():`, which counts the step")
        index = self._find(key)
        tensor = self._tensors[index]
        if tensor.frozen:
            raise ValueError(f"params{tensor.path} is frozen; thaw({key!r}) takes it in again")
        if grad_scale != self._grad_scale or zero_grads is not self._zero_grads:
            self._set_call(grad_scale, zero_grads)
        self._plan.step_one(self._places[index], grad, self._values_amid(tensor.group), self._options)

    def _values_amid(self, k: int) -> list[Any]:
        """The hyper-parameters of a group: those of all are found once a block, its own again where one was set since."""
        values = self._block_values
        if values is None:
            values = self._values_now(self._block_lr)
            for group, own in zip(self.groups, values, strict=True):  # a schedule's, before anything has changed
                _core.check_hyper(self.rule, "lr", own[group._lr_at])
            self._block_values = values
        elif self.groups[k]._stale:
            values[k] = self.groups[k].at(self.t + 1, self._block_lr)
        return values[k]

    def _unfrozen(self, grads: Nest | RowGrad) -> list[Any]:
        leaves = tree.leaves(self._skeleton, grads, "grads")
        if self._any_frozen:
            return [leaf for leaf, tensor in zip(leaves, self._tensors, strict=True) if not tensor.frozen]
        return leaves

    def _set_call(self, grad_scale: float, zero_grads: bool) -> None:
        """Sets what may differ from call to call, where it does: it is slow to read from the options."""
        if grad_scale != self._grad_scale:
            checks.number("grad_scale", grad_scale, "positive", otherwise=ValueError)
            if self._accumulated > 0:
                was = self._grad_scale
                raise ValueError(
                    f"grad_scale must stay {was!r} until the accumulated step is taken, got {grad_scale!r}"
                )
            self._grad_scale = self._options.grad_scale = grad_scale
        if zero_grads != self._zero_grads:
            self._options.zero_grads = self._zero_grads = checks.flag("zero_grads", zero_grads)

    def _find(self, key: Any) -> int:
        try:
            return self._index[key if isinstance(key, tuple) else (key,)]
        except (KeyError, TypeError):  # what cannot be hashed is no key
            keys = list(self._index)[:9]
            raise KeyError(f"no parameter has the key {checks.shown(key)}; there are {keys}") from None

    # For copy.deepcopy and pickle: all but what is compiled.

    def __copy__(self) -> NoReturn:
        raise TypeError("two optimizers cannot share weights and state; call copy.deepcopy")

    def __getstate__(self) -> dict[str, Any]:
        with self._turn():
            self._refuse_amid("copy an optimizer")
            now = self._plan.counters
            compiled = {
                "_options": options_to_dict(self._options),
                "_plan": (now.t, now.skipped, now.accumulated, now.norm),
            }
            return vars(self) | compiled

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._options = options_from_dict(state["_options"])
        self._plan = _core.new_plan(self.rule, 0)
        self._plan.counters = _core.new_counters(*state["_plan"])
        lay_out(self._tensors, [name for name, _ in self._layout])
        self.state = self._nests_of_states(self._skeleton, self._tensors)
        self._plan = self._make_plan(len(self.groups), self._tensors)
        for group in self.groups:
            group._belong_to(self)


def _is_group(spec: Any) -> bool:
    return isinstance(spec, dict) and "params" in spec


def _has_keywords(group: dict[Any, Any], names: set[str]) -> bool:
    """Whether what is beside the parameters is keywords, and not a nest of weights."""
    own = group.keys() - {"params"}
    return bool(own) and own <= names and not any(isinstance(group[name], np.ndarray | dict | list) for name in own)
