"""What all optimizers have in common: parameters in groups, their state, and the step."""

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NoReturn

from fusedoptim import _core
from fusedoptim.core import checks, tree
from fusedoptim.core.lock import Turn, wholly
from fusedoptim.core.nest import N, Nest
from fusedoptim.core.options import Common, make_options, options_from_dict, options_to_dict
from fusedoptim.core.row_grad import RowGrad
from fusedoptim.core.storage import Array, make_storage
from fusedoptim.core.tensors import lay_out
from fusedoptim.optim.parameters import Parameters, has_keywords, is_group

Values = list[list[Any]]  # the hyper-parameters of each group, or cohort, as its rule has them


class Optimizer(Parameters[N]):
    """The base of all optimizers: it owns the state, and checks everything before it changes anything.

    Every optimizer is made from a nest of arrays, ``Adam(params, lr=1e-3)``, or from a list of groups,
    ``Adam([{"params": nest, "lr": 1e-3}, {"params": nest}])``, whose own hyper-parameters come before those of the call.

    A nest is an array, or a dict, list, tuple, named tuple or dataclass of nests. What an optimizer makes in its shape, as
    `state`, has named tuples and dataclasses of the same classes. A field of a dataclass that is None, a number or string
    of Python, or a function is no weight, and is carried along. A list is one of groups where each entry is a dict whose
    key ``"params"`` has at most hyper-parameters beside it: ``[{"params": …, "batch_stats": {…}}]`` is a nest.

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
    steps : nest of int
        Number of steps that each parameter has taken.
    accumulated : int
        Number of gradients that are summed up towards the next update.
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
        super().__init_subclass__()
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
            object.__setattr__(self, "rule", rule)
        self._storage = make_storage(self.rule, common.pop("state_dtype", None), common.pop("rounding", None))
        copy_to = common.pop("copy_to", None)
        self._options = make_options(**common)
        self._accumulate, self._grad_scale, self._zero_grads = self._options.accumulate, 1.0, False
        self._arguments = arguments
        self._slots = slots
        self._layout = []
        self._carries = self.carried is not None
        self._plan = _core.new_plan(self.rule, [], carries=self._carries)
        self._turn = Turn()
        self._block = self._block_lr = self._block_values = self._block_cohorts = None
        self._grouped = False
        self._groups, self._tensors, self._carried, self._copy_to = [], [], [], None
        if is_group(params) and has_keywords(params, {*arguments, *Common.__annotations__}):
            raise TypeError("params is one group, with keywords of its own; pass it in a list: [{…}]")
        grouped = self._are_groups(params)
        specs = list(params) if grouped else [{"params": params}]
        self._extend(specs, grouped, _of_groups(copy_to, len(specs)) if grouped else [copy_to])

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
            lr = checks.rate(self.rule, lr)
        lock = self._turn.lock  # as `with self._turn()`, without a call
        if lock.locked():
            checks.busy()
        with lock:
            if self._block is not None:
                self._refuse_amid("step")
            if grad_scale != self._grad_scale or zero_grads is not self._zero_grads:
                self._set_call(grad_scale, zero_grads)
            if self._accumulate > 1 and self.accumulated + 1 < self._accumulate:
                self._plan.accumulate(grads, self._options)
                return
            moves = self._carries or lr is not None
            for group in self._groups:  # with no condition inside: core/lock.py
                moves |= group._moves
            values = self._values_now(lr) if moves else self._values
            if self._follows:
                t = self.t
                try:
                    self._plan.step(grads, values, self._options, values_at)
                    self._follow(t)
                except BaseException:  # an interrupt is raised at the end of the step, or before the rest is done
                    self._follow(t)
                    raise
            else:
                self._plan.step(grads, values, self._options, values_at)

    def _values_now(self, lr: float | None) -> Values:
        """The hyper-parameters of each group at the step to come, which may have a rate to itself; or of each cohort."""
        values = [group.at(self.t + 1, lr) for group in self._groups]
        if not self._carries:
            return values
        self._carried_now()
        return [self._carry(k, cohort, values[cohort[0]]) for k, cohort in enumerate(self._plan.cohorts)]

    def _carry(self, k: int, cohort: tuple[int, int, int, int], values: list[Any]) -> list[Any]:
        group, steps, *_ = cohort
        before = self._carried[k][steps]
        own, after = self._groups[group].carry(values, steps, before)
        self._carried[k] = {steps: before, steps + 1: after}
        return own

    def _follow(self, t: int) -> None:
        """What a class has to do once the number of steps is another than t; it may do it twice."""

    def bind(self, grads: Nest) -> None:
        """Checks gradients that stay where they are, once: :meth:`step` without any then reads these.

        A step that is given others ends this, and so does what changes the parameters or their states (:meth:`add_group`,
        :meth:`freeze`, :meth:`thaw`, :meth:`rebind`, setting `accumulate`).

        Parameters
        ----------
        grads : nest as `params`
            Kept alive. They must be writeable, and no two may share memory. One that is resized, reshaped or replaced in its
            nest afterwards is refused by the next step.

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
            self._plan.bind(grads, tree.containers(self._skeleton, grads, "grads"))

    def flush(self) -> bool:
        """Takes the step with the gradients that are accumulated, fewer than `accumulate`: their mean. For the end of an epoch.

        Returns
        -------
        bool
            Whether there were any.

        Raises
        ------
        FloatingPointError, RuntimeError
            as :meth:`step`.

        Examples
        --------
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> w = np.zeros(1)
        >>> opt = fo.SGD(w, lr=1.0, accumulate=4)
        >>> for _ in range(6):
        ...     opt.step(np.ones(1))
        >>> opt.accumulated, opt.t
        (2, 1)
        >>> opt.flush(), w, opt.t
        (True, array([-2.]), 2)
        """
        return self._flush()

    def _flush(self, values_at: Callable[[float, Values], Values] | None = None) -> bool:
        with self._turn():
            self._refuse_amid("step")
            if self.accumulated == 0:
                return False
            t = self.t
            try:
                self._plan.flush(self._values_now(None), self._options, values_at)
                self._follow(t)
            except BaseException:  # as of a step
                self._follow(t)
                raise
            return True

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
            lr = checks.rate(self.rule, lr)
        with self._inside("stepping", "begin a step", lr):
            self._plan.check()
            t = self.t
            try:
                yield
            finally:
                try:
                    self._plan.end_block(self._options)
                    self._follow(t)
                except BaseException:  # as of a step
                    self._follow(t)
                    raise

    def update(self, key: Any, grad: Array | RowGrad, *, grad_scale: float = 1.0, zero_grads: bool = False) -> None:
        """Steps one parameter, while its gradient is hot in cache; only within :meth:`stepping`, which has an example.

        Parameters
        ----------
        key
            Its place in the nest: ``"w1"`` for ``params["w1"]``, ``("layer", 0)`` for ``params["layer"][0]``, ``()`` for a
            single array; the name of a dataclass's field, the index of a named tuple's. With groups it begins with the
            number of the group: ``(1, "w1")``.
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
        if grad_scale != self._grad_scale or zero_grads is not self._zero_grads:
            self._set_call(grad_scale, zero_grads)
        self._plan.step_one(index, grad, self._values_amid(index), self._options)

    def _values_amid(self, index: int) -> list[Any]:
        """The hyper-parameters of a tensor: those of all are found once a block, a group's again where one was set since."""
        k = self._tensors[index].group
        values = self._block_values
        if values is None:
            values = self._values_now(self._block_lr)
            at = self._groups[0]._lr_at
            for own in values:  # a schedule's rate, before anything has changed
                _core.check_hyper(self.rule, "lr", own[at])
            self._block_cohorts = [cohort for cohort, _ in self._plan.members] if self._carries else None
            self._block_values = values
        elif self._groups[k]._stale:
            self._renew(k, values)
        return values[k if self._block_cohorts is None else self._block_cohorts[index]]

    def _renew(self, k: int, values: Values) -> None:
        """The hyper-parameters of a group in which one was set amid a block."""
        own = self._groups[k].at(self.t + 1, self._block_lr)
        if not self._carries:
            values[k] = own
            return
        for i, cohort in enumerate(self._plan.cohorts):
            if cohort[0] == k:
                values[i] = self._carry(i, cohort, own)

    def _set_call(self, grad_scale: float, zero_grads: bool) -> None:
        """Sets what may differ from call to call, where it does: it is slow to read from the options."""
        if grad_scale != self._grad_scale:
            grad_scale = checks.number("grad_scale", grad_scale, "positive", otherwise=ValueError)
            if self.accumulated > 0:
                was = self._grad_scale
                raise ValueError(
                    f"grad_scale must stay {was!r} until the accumulated step is taken, got {grad_scale!r}"
                )
        zero_grads = checks.flag("zero_grads", zero_grads)

        def commit() -> None:
            self._options.grad_scale = self._grad_scale = grad_scale
            self._options.zero_grads = self._zero_grads = zero_grads

        wholly(commit)

    # For copy.deepcopy and pickle: all but what is compiled.

    def __copy__(self) -> NoReturn:
        raise TypeError("two optimizers cannot share weights and state; call copy.deepcopy")

    def __getstate__(self) -> dict[str, Any]:
        with self._turn():
            self._refuse_amid("copy an optimizer")
            self._plan.check()
            self._carried_now()
            now = self._plan.counters
            compiled = {
                "_options": options_to_dict(self._options),
                "_plan": (now.t, now.skipped, now.accumulated, now.norm),
                "_counted": self._counts(),
            }
            return vars(self) | compiled

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        cohorts, members = vars(self).pop("_counted")
        self._options = options_from_dict(state["_options"])
        self._plan = _core.new_plan(self.rule, [], carries=self._carries)
        self._plan.counters = _core.new_counters(*state["_plan"])
        # What came apart of an array that was in several places, as by joblib, is that of `params` again.
        for group, params in zip(self.groups, self._params if self._grouped else [self._params], strict=True):
            vars(group).update(params=params)
            group._belong_to(self)
        for tensor, weight in zip(self._tensors, tree.leaves(self._skeleton, self.params, "params"), strict=True):
            tensor.weight = weight
        if self._copy_to is not None:
            for tensor, copy in zip(self._tensors, tree.leaves(self._skeleton, self._copy_to, "copy_to"), strict=True):
                tensor.copy = copy
        lay_out(self._tensors, [kept.name for kept in self._layout])
        self._state = self._nests_of_states(self._skeleton, self._tensors, self._layout)
        self._plan = self._make_plan(cohorts, members, self._tensors, self.params, self.state, self._copy_to)


def _of_groups(copy_to: Any, n: int) -> list[Any]:
    """The copies of each group."""
    if copy_to is None:
        return [None] * n
    return list(checks.sequence("copy_to", copy_to, n, f"a list of {n} nests, as there are groups"))
