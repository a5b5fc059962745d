"""Parameters that are stepped together, as a plan of what is compiled over the memory of their tensors."""

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import increment_version

from fusedoptim import _core
from fusedoptim.core.storage import SCALE, Array, Kept, Stored, is_signed, stored
from fusedoptim.optim.noisy_sgd import draw
from fusedoptim.torch.memory import DTYPES, array_of, plain, row_grad
from fusedoptim.torch.numbers import Numbers
from fusedoptim.torch.rules import Rules
from fusedoptim.torch.stand_in import StandIn, is_readable
from fusedoptim.torch.states import Place

if TYPE_CHECKING:
    from fusedoptim.torch.optimizer import Fused

# Rules that look at rows or other axes, or keep numbers for them: of a contiguous weight in its shape.
SHAPED = {
    rule
    for rule, states in _core.rule_states.items()
    if rule in {*_core.measured_rules, "muon"} or any(kind not in ("weight", "tensor") for _, kind in states)
}


@dataclass(frozen=True)
class Member:
    """A parameter, the numbers of its group, and its place among all."""

    numbers: Numbers
    param: Tensor
    index: int


@dataclass
class Cohort:
    """Members of a group that have taken the same steps, and carry the same numbers from step to step."""

    numbers: Numbers
    members: list[int] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    counts: list[Tensor] = field(default_factory=list)
    after: dict[str, float] = field(default_factory=dict)

    def at(self, rules: Rules) -> list[Any]:
        """The values of its next step."""
        carried = {ours: float(self.states[0][theirs]) for ours, theirs in rules.carried.items()}
        values, self.after = self.numbers.at(int(self.counts[0]) + 1, carried)
        return values

    def carry_on(self, rules: Rules) -> None:
        for ours, theirs in rules.carried.items():
            for state in self.states:
                state[theirs].fill_(self.after[ours])


class Part:
    """Members of one rule; `take` checks everything, and `step` steps."""

    def __init__(self, opt: "Fused", kind: tuple[Any, ...], sparse: bool, members: list[Member]) -> None:
        self._opt, self._rules, self._sparse = opt, opt._rules, sparse
        self._rule: str = kind[0]
        self._shaped = sparse or self._rule in SHAPED
        self._members = members
        self._storage = opt.storage(self._rule)
        self.numbers = list({id(member.numbers): member.numbers for member in members}.values())
        self._stand_ins: list[StandIn] = []
        self._tensors = [self._tensor_of(member.param) for member in members]
        self._states = [opt.state_of(member.param) for member in members]
        self._counts = self._counts_of_steps()
        self._make_states()
        self._cohorts: list[Cohort] = []
        self.values: list[Any] = [numbers.values for numbers in self.numbers]
        self._follows = bool(self._stand_ins) or len(self._rules.carried) > 0
        self.plan = self._make_plan()

    def _tensor_of(self, param: Tensor) -> Tensor:
        if is_readable(param, self._rule, shaped=self._shaped):
            return param
        stand_in = StandIn(param, self._rule, shaped=self._shaped)
        self._stand_ins.append(stand_in)
        return stand_in.tensor

    def _counts_of_steps(self) -> list[Tensor]:
        """Of each member. Where torch keeps none, they are ours, and a state that is there has begun."""
        if self._opt._counts:
            states, begun = self._states, [False] * len(self._states)
        else:
            names = [name for name in self._rules.states(self._rule, 2).values() if name is not None]
            begun = [any(state.get(name) is not None for name in names) for state in self._states]
            states = [
                self._opt._hidden.setdefault(id(member.param), {}) if has_begun else {}
                for member, has_begun in zip(self._members, begun, strict=True)
            ]
            self._opt._hidden.update(
                (id(member.param), state) for member, state in zip(self._members, states, strict=True)
            )
        self._opt._states.numbers(states, "step", map(float, begun), torch.float32)
        return [state["step"] for state in states]

    def _make_states(self) -> None:
        rules, members, opt = self._rules, self._members, self._opt
        for ours, theirs in rules.carried.items():
            firsts = [float(rules.initial(ours, member.numbers.group)) for member in members]
            opt._states.numbers(self._states, theirs, firsts, rules.precision or torch.get_default_dtype())
        dtypes = {DTYPES[tensor.dtype] for tensor in self._tensors}
        layout = [*self._storage.kept(self._rule, dtypes), *[Kept("ema", "weight")] * opt._options.keeps_ema]
        self._arrays: list[dict[str, Array]] = [{} for _ in members]
        # Kept alive, also where a state is given other memory.
        self._storages = [count.untyped_storage() for count in self._counts]
        for slot, kept in enumerate(layout, start=2):
            places = [self._place(k, kept) for k in range(len(members))]
            fresh = opt._states.arrays(places, slot)
            lies_as_weight = kept.kind == "weight" and kept.held not in ("codes", "scales")
            for arrays, place in zip(self._arrays, places, strict=True):
                state = plain(place.state[place.name])
                self._storages.append(state.untyped_storage())
                arrays[kept.name] = array_of(state, shaped=self._shaped or not lies_as_weight)
            if kept.held == "scales":
                self._begin_codes(kept.name.removesuffix(SCALE), fresh)

    def _begin_codes(self, name: str, fresh: list[bool]) -> None:
        """Of a state of 8 bits that does not begin at zero."""
        for member, tensor, arrays, is_fresh in zip(self._members, self._tensors, self._arrays, fresh, strict=True):
            first = self._rules.initial(name, member.numbers.group)
            if is_fresh and first != 0:
                numbers = np.full(tensor.numel(), first, np.float32)
                _core.store_numbers((arrays[name], arrays[name + SCALE]), is_signed(self._rule, name), numbers)

    def _place(self, k: int, kept: Kept) -> Place:
        member, tensor, rules = self._members[k], self._tensors[k], self._rules
        group = member.numbers.group
        shape, dtype = kept.array(tuple(tensor.shape), DTYPES[tensor.dtype], rules.slots(group))
        name = kept.name.removesuffix(SCALE) if kept.held == "scales" else kept.name
        theirs: str | None = rules.states(self._rule, tensor.dim()).get(name, name)
        if theirs is not None and kept.held == "scales":
            theirs += SCALE
        strides = tensor.stride() if shape == tuple(tensor.shape) and kept.kind == "weight" else None
        first = None if name == "ema" else 0.0 if kept.held in ("scales", "rest") else float(rules.initial(name, group))
        state = {} if theirs is None else self._states[k]
        return Place(state, theirs or name, member.param, shape, dtype, strides, first)

    def _stored(self, k: int) -> list[Stored]:
        """Weight and states of a member, in the order of the rule."""
        weight = array_of(self._tensors[k], shaped=self._shaped)
        names = ["params", *(name for name, _ in _core.rule_states[self._rule])]
        return [stored(name, weight, self._arrays[k]) for name in names]

    def _make_plan(self) -> _core.Plan:
        places = self._gather()
        index = {id(numbers): k for k, numbers in enumerate(self.numbers)}
        steps = [int(each.counts[0]) for each in self._cohorts]
        cohorts = [(index[id(each.numbers)], n, n) for each, n in zip(self._cohorts, steps, strict=True)]
        plan = _core.new_plan(self._rule, cohorts, carries=self._rules.moves)
        for k, (member, tensor, place) in enumerate(zip(self._members, self._tensors, places, strict=True)):
            copied, ema = self._opt.copy_of(member.index), self._arrays[k].get("ema")
            copy = None if copied is None else array_of(copied, shaped=self._shaped)
            at_random = self._storage.rounds(DTYPES[tensor.dtype]) == "stochastic"
            plan.add(place, False, f"[{member.index}]", self._stored(k), None, ema, copy, at_random)
        plan.finish()
        plan.counters = _core.new_counters(t=max(steps), skipped=0, accumulated=0, norm=None)
        if direction := self._rules.direction(self.numbers[0].group):
            plan.divide("sgd", direction)
        return plan

    def _gather(self) -> list[int]:
        """The cohort of each member."""
        keys: dict[Any, int] = {}
        places = []
        for member, state, count in zip(self._members, self._states, self._counts, strict=True):
            carried = [float(state[name]) for name in self._rules.carried.values()]
            key = (id(member.numbers), int(count), *carried)
            if key not in keys:
                keys[key] = len(keys)
                self._cohorts.append(Cohort(member.numbers))
            places.append(keys[key])
            self._cohorts[keys[key]].members.append(len(places) - 1)
            self._cohorts[keys[key]].states.append(state)
            self._cohorts[keys[key]].counts.append(count)
        return places

    def hold(self, idle: list[Tensor], containers: list[Any]) -> None:
        """Lets what is compiled look at the tensors, at parameters without a gradient, and at what has the states."""
        held = [(tensor, count.data_ptr()) for tensor, count in zip(self._tensors, self._counts, strict=True)]
        of_states = [(f"[{k}]", state, list(state), list(state.values())) for k, state in enumerate(self._states)]
        self.plan.watch([None] * len(held), [], [*containers, *of_states])
        self.plan.hold(held, idle, partial(increment_version, [member.param for member in self._members]))

    def take(self, options: _core.Options) -> bool:
        """False, and nothing has changed, where all this must be made anew."""
        for stand_in in self._stand_ins:
            if not stand_in.bring():
                return False
        if self._rules.noise is not None:
            self._draw(self._rules.noise)
        grads = None
        if self._sparse:
            of_members = [member.param.grad for member in self._members]
            if not all(grad is not None and grad.is_sparse for grad in of_members):
                return False
            grads = [row_grad(grad, member.param.dtype) for grad, member in zip(of_members, self._members, strict=True)]
        if self._rules.moves:
            self.values = [cohort.at(self._rules) for cohort in self._cohorts]
        ascends = [numbers.ascends for numbers in self.numbers]
        return self.plan.take_tensors(grads, self.values, ascends, options)

    def _draw(self, name: str) -> None:
        for cohort in self._cohorts:
            for k in cohort.members:
                draw(self._arrays[k][name], self._opt._options.seed, int(cohort.counts[0]) + 1, k)

    def step(self, options: _core.Options) -> None:
        if self._follows:
            step_all([self], options)
        else:
            self.plan.step_tensors(self.values, options)

    def follow(self, t: int) -> None:
        """What is left to do once the plan has taken more steps than t; it may be done twice."""
        if self.plan.t > t:
            for stand_in in self._stand_ins:
                stand_in.take_back()
            for cohort in self._cohorts:
                cohort.carry_on(self._rules)


def step_all(parts: list[Part], options: _core.Options) -> None:
    """All take their step, or none does, whenever an interrupt comes."""
    before = [part.plan.t for part in parts]

    def follow() -> None:
        for part, t in zip(parts, before, strict=True):
            part.follow(t)

    try:
        _core.Plan.step_all([(part.plan, part.values) for part in parts], options)
        follow()
    except BaseException:  # it is raised at the end of the steps, or before the rest is done
        follow()
        raise
