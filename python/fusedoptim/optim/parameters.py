"""The parameters of an optimizer: in groups, added later, frozen, in other arrays, and where each is found."""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from fusedoptim import _core
from fusedoptim.core import checks, tree
from fusedoptim.core.groups import Group, Hyper, to_hyper
from fusedoptim.core.lock import wholly
from fusedoptim.core.nest import N
from fusedoptim.core.options import options_from_dict, options_to_dict
from fusedoptim.core.storage import Array, Kept, Storage
from fusedoptim.core.tensors import (
    Tensor,
    add_states,
    begin_states,
    check_weights,
    drop_sums,
    fill_plan,
    make_tensors,
    state_layout,
    write_copies,
)
from fusedoptim.numerics.numbers import shown
from fusedoptim.optim.settable import Settable
from fusedoptim.optim.stateful import Counts, Stateful
from fusedoptim.schedules import Schedule


class Parameters(Settable, Stateful[N]):
    """What the class :class:`Optimizer` has of its parameters."""

    _arguments: dict[str, Any]  # of the call that made the optimizer: those of a group
    _storage: Storage
    _copy_to: Any  # a nest as the parameters, or None
    _layout: list[Kept]  # of the states
    _carries: bool  # whether numbers are carried from step to step
    _grouped: bool  # whether the parameters came in groups
    _index: dict[tuple[Any, ...], int]  # the tensor at each place
    _values: list[list[Any]]  # the hyper-parameters of each group, as its rule has them

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

    def add_group(self, group: dict[str, Any], *, copy_to: Any = None) -> None:
        """Adds parameters, with a state of zero. Their gradients come last.

        An optimizer that was made from one nest becomes one of two groups: `params`, `state` and the gradients are lists
        from then on. Bound gradients have to be bound again.

        Parameters
        ----------
        group : dict
            ``{"params": nest, **hyper-parameters}``; those left out are as in the call that made the optimizer.
        copy_to : nest as ``group["params"]``, optional
            Where the optimizer was made with `copy_to`: the copies of these.

        Raises
        ------
        TypeError, ValueError
            where a parameter or a hyper-parameter is refused, or an array is there already; nothing has changed then.
        RuntimeError
            within :meth:`stepping`.

        Notes
        -----
        `t` is the optimizer's, and what schedules are asked for. Each parameter counts its own `steps`, so that the first
        step of one that comes late is as long as that of one that came at the beginning.

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
        if not is_group(group):
            raise TypeError(f'a group must be a dict with the key "params", got {shown(group)}')
        with self._turn():
            self._refuse_amid("add a group")
            if (copy_to is None) is not (self._copy_to is None):
                has = "without" if copy_to is None else "with"
                raise ValueError(f"copy_to must be given of all groups or of none, got a group {has} it")
            self._extend([group], grouped=True, copies=[copy_to])

    def freeze(self, *keys: Any) -> None:
        """Leaves parameters out of the steps from now on: weight and state stay, and gradients are not looked at.

        Parameters
        ----------
        *keys
            Places in the nest, as in :meth:`update`, or of a part of it: ``"encoder"`` is all of ``params["encoder"]``,
            and ``()`` is all.

        Raises
        ------
        KeyError
            where there is no parameter; nothing has changed then.
        RuntimeError
            within :meth:`stepping`.

        Notes
        -----
        Bound gradients have to be bound again. A state dict does not tell what is frozen. What was accumulated of a parameter
        towards the next update is dropped.

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
            Places in the nest, as for :meth:`freeze`.

        Raises
        ------
        KeyError, RuntimeError
            as :meth:`freeze`.
        """
        self._set_frozen(keys, False)

    def _set_frozen(self, keys: tuple[Any, ...], frozen: bool) -> None:
        with self._turn():
            self._refuse_amid("freeze or thaw")
            found = list({index for key in keys for index in self._below(key)})
            changed = self._where_frozen(found, not frozen)

            def commit() -> None:
                self._plan.freeze(found, frozen)
                drop_sums(changed)

            wholly(commit)

    def _where_frozen(self, chosen: list[int], frozen: bool) -> list[Tensor]:
        members = self._plan.members
        return [self._tensors[k] for k in chosen if members[k][1] is frozen]

    def _extend(self, specs: list[dict[str, Any]], grouped: bool, copies: list[Any]) -> None:
        """Adds groups, with the nests of their copies, or raises before anything has changed."""
        self._plan.check()
        groups, tensors = list(self._groups), list(self._tensors)
        if self._groups and not self._grouped:  # the nest becomes the first of a list
            tensors = [replace(t, path="[0]" + t.path, key=(0, *t.key)) for t in self._tensors]
        cohorts, members = self._counts()
        more: list[Tensor] = []
        for spec, copy_to in zip(specs, copies, strict=True):
            own = {key: value for key, value in spec.items() if key != "params"}
            if unknown := [key for key in own if key not in self._arguments]:
                see = "help(fusedoptim.Group); what else there is holds for all groups, and is given beside them"
                checks.unknown_keyword(unknown[0], f"in group {len(groups)}", list(self._arguments), see)
            group = Group(type(self), self.rule, spec["params"], self._arguments | own)
            group._belong_to(self)
            self._check_lr(group.lr)
            skeleton = tree.skeleton(group.params, "params")
            prefix: tuple[Any, ...] = (len(groups),) if grouped else ()
            keys = [prefix + key for key in tree.keys(skeleton)]
            weights = tree.leaves(skeleton, group.params, "params")
            copied = [None] * len(keys) if copy_to is None else tree.leaves(skeleton, copy_to, "copy_to")
            more += make_tensors(len(groups), keys, weights, copied)
            members += [(len(cohorts), False)] * len(keys)
            cohorts.append((len(groups), 0, 0))
            groups.append(group)
        check_weights(more, self.rule, self._storage)
        params = [group.params for group in groups] if grouped else groups[0].params
        copy_to = self._nest_of_copies(copies, grouped)
        skeleton = tree.skeleton(params, "params")
        tensors += more
        layout = state_layout(self.rule, self._options, self._storage, [tensor.weight for tensor in tensors])
        tensors = add_states(tensors, layout, self._slots)
        for k in range(len(self._groups), len(groups)):
            begin_states([t for t in tensors if t.group == k], self.rule, partial(self._initial, groups[k]))
        state = self._nests_of_states(skeleton, tensors, layout)
        plan = self._make_plan(cohorts, members, tensors, params, state, copy_to)
        plan.begin(self._options)
        values = [group._values for group in groups]
        index = {tensor.key: k for k, tensor in enumerate(tensors)}
        carried = self._carried_now()
        carried = carried + [{0: dict(self.carried or {})} for _ in cohorts[len(carried) :]]

        def commit() -> None:
            self._groups, self._tensors, self._plan, self._grouped = groups, tensors, plan, grouped
            self._params, self._state, self._skeleton, self._values = params, state, skeleton, values
            self._index, self._carried, self._layout, self._copy_to = index, carried, layout, copy_to
            write_copies(more)

        wholly(commit)

    def _nest_of_copies(self, added: list[Any], grouped: bool) -> Any:
        if all(nest is None for nest in added):
            return None
        before = [] if not self._groups else self._copy_to if self._grouped else [self._copy_to]
        return [*before, *added] if grouped else added[0]

    @staticmethod
    def _nests_of_states(skeleton: Any, tensors: list[Tensor], layout: list[Kept]) -> dict[str, Any]:
        return {kept.name: tree.build(skeleton, iter([t.states[kept.name] for t in tensors])) for kept in layout}

    def _make_plan(
        self,
        cohorts: list[Counts],
        members: list[tuple[int, bool]],
        tensors: list[Tensor],
        params: Any,
        state: Any,
        copy_to: Any,
    ) -> _core.Plan:
        """The compiled half of the optimizer, which checks the arrays, steps and counts."""
        plan = self._filled_plan(cohorts, members, tensors)
        plan.counters = self._plan.counters
        skeleton = tree.skeleton(params)
        ours = tree.containers(dict.fromkeys(state, skeleton), state, "opt.state")
        if copy_to is not None:
            ours += tree.containers(skeleton, copy_to, "copy_to")
        plan.watch(skeleton, tree.containers(skeleton, params, "params"), ours)
        return plan

    def _filled_plan(self, cohorts: list[Counts], members: list[tuple[int, bool]], tensors: list[Tensor]) -> _core.Plan:
        """The plan over these tensors, which a class may have something to say about."""
        plan = _core.new_plan(self.rule, cohorts, carries=self._carries)
        return fill_plan(plan, self.rule, self._storage, tensors, members)

    def _initial(self, group: Group, name: str, weight: Array) -> Any:
        return self.initial(name, weight, group._arguments)

    def rebind(self, params: Any) -> None:
        """Goes on with other arrays in the place of the parameters: of the same nest, shapes and dtypes.

        State and counts stay; the weights are those of the new arrays. Bound gradients have to be bound again. Where the nest
        is the one that the optimizer has, with the same arrays in it, and there is no `copy_to`, nothing is done but to look:
        it may be called before each step.

        Parameters
        ----------
        params : nest as `params`

        Raises
        ------
        TypeError, ValueError
            where they are not such arrays; nothing has changed then.
        RuntimeError
            within :meth:`stepping`.

        Examples
        --------
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> params = {"w": np.array([0.5, 3.0])}
        >>> opt = fo.SGD(params, lr=0.5)
        >>> params["w"] = np.clip(params["w"], -1, 1)  # another array
        >>> opt.rebind(params)
        >>> opt.step({"w": np.ones(2)})
        >>> params
        {'w': array([0. , 0.5])}
        """
        with self._turn():
            self._refuse_amid("rebind")
            if params is self._params and self._copy_to is None and self._plan.is_unchanged():
                return
            self._plan.check_state()
            cohorts, members = self._counts()
            weights = tree.leaves(self._skeleton, params, "params")
            for tensor, weight, (_, frozen) in zip(self._tensors, weights, members, strict=True):
                _core.check_weight(self.rule, weight, tensor.path, frozen)
                checks.as_before("params" + tensor.path, weight, tensor.weight)
            tensors = [replace(tensor, weight=weight) for tensor, weight in zip(self._tensors, weights, strict=True)]
            self._carried_now()
            plan = self._make_plan(cohorts, members, tensors, params, self.state, self._copy_to)
            nests = list(params) if self._grouped else [params]

            def commit() -> None:
                self._tensors, self._plan, self._params = tensors, plan, params
                for group, nest in zip(self._groups, nests, strict=True):
                    vars(group)["params"] = nest
                write_copies(tensors)

            wholly(commit)

    @property
    def accumulate(self) -> int:
        return self._accumulate

    @accumulate.setter
    def accumulate(self, n: int) -> None:
        n = checks.whole("accumulate", n, bits=31)
        with self._turn():
            self._refuse_amid("set accumulate")
            if self.accumulated > 0:
                raise ValueError(
                    f"accumulate must stay {self._accumulate} until the step is taken, got {n}; call flush()"
                )
            self._plan.check()
            options = options_from_dict(options_to_dict(self._options) | {"accumulate": n})
            layout = state_layout(self.rule, options, self._storage, [tensor.weight for tensor in self._tensors])
            tensors = add_states(self._tensors, layout, self._slots)
            state = self._nests_of_states(self._skeleton, tensors, layout)
            self._carried_now()
            plan = self._make_plan(*self._counts(), tensors, self.params, state, self._copy_to)

            def commit() -> None:
                self._options, self._accumulate, self._layout = options, n, layout
                self._tensors, self._plan, self._state = tensors, plan, state

            wholly(commit)

    @property
    def lr(self) -> float | Schedule:
        """The learning rate of the first group: a number, or a callable that gives it for each step t = 1, 2, …

        Setting it sets that of all groups.
        """
        lr: float | Schedule = self._groups[0].lr
        return lr

    @lr.setter
    def lr(self, lr: float | Schedule) -> None:
        if type(lr) is not float or not 0.0 <= lr < math.inf:  # what every rule takes needs no call
            lr = checks.by_value("lr", lr)
            self._check_lr(lr)

        def commit() -> None:
            for group in self._groups:
                group._set_lr(lr)

        wholly(commit)

    @property
    def current_lr(self) -> float:
        """The learning rate of the next step, a number, of the first group; each has its own ``current_lr``."""
        return self._groups[0].current_lr

    def _check_lr(self, lr: float | Schedule) -> None:
        """Refuses what is no rate, and at once a schedule that cannot give the next step its own."""
        _core.check_hyper(self.rule, "lr", lr(self.t + 1) if callable(lr) else lr)

    def _are_groups(self, params: Any) -> bool:
        """Whether it is a list of groups, and not one of nests that have a key "params", as Flax's."""
        if not isinstance(params, list | tuple) or hasattr(params, "_fields"):
            return False
        return len(params) > 0 and all(
            is_group(spec)
            and not any(tree.holds_arrays(spec[key]) for key in spec.keys() - self._arguments.keys() - {"params"})
            for spec in params
        )

    def _below(self, key: Any) -> list[int]:
        """The parameters in a part of the nest."""
        place = key if isinstance(key, tuple) else (key,)
        try:
            inside = [] if place in self._index else [k for own, k in self._index.items() if own[: len(place)] == place]
        except TypeError:  # what cannot be hashed is no key
            inside = []
        return inside or [self._find(key)]

    def _find(self, key: Any) -> int:
        try:
            return self._index[key if isinstance(key, tuple) else (key,)]
        except (KeyError, TypeError):  # what cannot be hashed is no key
            keys = list(self._index)[:9]
            raise KeyError(f"no parameter has the key {shown(key)}; there are {keys}") from None


def is_group(spec: Any) -> bool:
    return isinstance(spec, dict) and "params" in spec


def has_keywords(group: dict[Any, Any], names: set[str]) -> bool:
    """Whether what is beside the parameters is keywords, and not a nest of weights."""
    own = group.keys() - {"params"}
    return bool(own) and own <= names and not any(isinstance(group[name], np.ndarray | dict | list) for name in own)
