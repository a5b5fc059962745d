"""What a whole step comes to, computed with the reference alone."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

import fusedoptim as fo

from .bits import assert_same_bits
from .cases import Case
from .nests import arrays, copied


@dataclass
class Options:
    """What a step does besides the rule."""

    accumulate: int = 1
    clip_norm: float | None = None
    clip_value: float | None = None
    ema: float | None = None
    ema_bias_correction: bool = True
    maximize: bool = False
    grad_scale: float = 1.0
    zero_grads: bool = False

    @property
    def keywords(self) -> dict[str, Any]:
        """Those of the constructor."""
        return {name: value for name, value in vars(self).items() if name not in ("grad_scale", "zero_grads")}


class Expected:
    """The reference of a run: `params` is a list of groups, each a case and its arrays."""

    def __init__(self, groups: list[tuple[Case, float, list[np.ndarray]]], options: Options) -> None:
        self.options, self.t = options, 0
        self.tensors = [(case, l2, w.copy(), case.new_state(w)) for case, l2, group in groups for w in group]
        self.ema = [w.copy() for _, _, w, _ in self.tensors]

    def step(self, minibatches: list[Any]) -> None:
        """One update with the gradients of all minibatches."""
        self.t += 1
        o = self.options
        of_tensor = list(zip(*map(arrays, minibatches), strict=True))
        self.norm = norm = fo.reference.norm([fo.reference.gradient(gs, gs[0]) for gs in of_tensor]) / o.grad_scale
        scale = (-1 if o.maximize else 1) / o.grad_scale
        if o.clip_norm is not None and norm > o.clip_norm:
            scale *= o.clip_norm / norm
        limit = math.inf if o.clip_value is None else o.clip_value
        for (case, l2, w, state), gs, ema in zip(self.tensors, of_tensor, self.ema, strict=True):
            g = fo.reference.gradient(gs, w, scale=scale, clip_value=limit, weight_decay=l2)
            case.reference(w, g, *state, **case.hyper_at(self.t))
            if o.ema is not None:
                fo.reference.average(ema, w, decay=o.ema, t=self.t if o.ema_bias_correction else math.inf)

    def check(self, optimizer: fo.Optimizer, minibatches: list[Any], what: str) -> None:
        """The same update of an optimizer comes to the same: gradients, norm, weights, states, and averages."""
        o = self.options
        for grads in minibatches:
            given = copied(grads)
            optimizer.step(given, grad_scale=o.grad_scale, zero_grads=o.zero_grads)
            for g, was in zip(arrays(given), arrays(grads), strict=True):
                assert_same_bits(g, np.zeros_like(was) if o.zero_grads else was, f"the gradient {what}")
        assert optimizer.last_grad_norm == (None if o.clip_norm is None else self.norm), what
        states = [(name, arrays(optimizer.state[name])) for name, _ in fo._core.rule_states[optimizer.rule]]
        weights = arrays(optimizer.params)
        averages = None if o.ema is None else arrays(optimizer.ema_params)
        for k, (_, _, w, state) in enumerate(self.tensors):
            assert_same_bits(weights[k], w, f"w of {k} {what}")
            for (name, got), want in zip(states, state, strict=True):
                assert_same_bits(got[k], want, f"{name} of {k} {what}")
            if averages is not None:
                assert_same_bits(averages[k], self.ema[k], f"ema of {k} {what}")
        if o.accumulate > 1:
            assert not any(s.any() for s in arrays(optimizer.state["grad_sum"])), what


EACH_ALONE_AND_ALL = {
    "clip_norm": Options(clip_norm=0.5),
    "a norm within the limit": Options(clip_norm=1e9),
    "clip_value": Options(clip_value=0.3),
    "ema": Options(ema=0.9),
    "ema of 0": Options(ema=0.0),
    "ema, uncorrected": Options(ema=0.9, ema_bias_correction=False),
    "maximize": Options(maximize=True),
    "grad_scale": Options(grad_scale=1024.0),
    "a grad_scale that rounds": Options(grad_scale=3.0),
    "zero_grads": Options(zero_grads=True),
    "accumulate": Options(accumulate=3),
    "accumulate, clip_norm": Options(accumulate=3, clip_norm=0.1),
    "accumulate, zero_grads": Options(accumulate=2, zero_grads=True),
    "all": Options(3, 2.0, 0.01, 0.5, True, True, 7.0, True),
}
