"""Each rule in JavaScript computes what the kernel of its name computes."""

import re

import numpy as np
import pytest

import fusedoptim as fo

from .browser import PLAY, Browser

RULES = re.findall(r"^  (\w+)\(w, g\b", (PLAY / "rules.js").read_text(), re.MULTILINE)
STEPS, WEIGHTS = 50, 7

# Numbers that tell a rule from its like, for hyper-parameters of these names.
DRAWN = {
    "lr": (0.01, 0.5),
    "weight_decay": (0.01, 0.3),
    "eps": (1e-8, 0.1),
    "eps_root": (1e-8, 0.1),
    "lr_decay": (0.01, 0.1),
    "eta_minus": (0.3, 0.7),
    "eta_plus": (1.1, 1.5),
    "step_min": (1e-6, 1e-3),
    "step_max": (0.5, 2.0),
}
OF_AN_AVERAGE = (0.0, 0.999)

# All steps of some weights with one rule, from zeros or from the states that are given.
WALK = """
const [name, w, grads, states, hyper] = arguments;
return w.map((x, k) => grads.reduce(
    ([w, ...state], g, step) => RULES[name](w, g[k], ...state, { ...hyper, t: step + 1 }),
    [x, ...states.map((state) => state[k])],
));
"""


def test_the_page_has_the_best_known() -> None:
    assert len(RULES) >= 16
    assert set(RULES) <= set(fo._core.rule_hypers)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rule", RULES)
def test_rule(scripts: Browser, rule: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [name for name in fo._core.rule_hypers[rule] if name != "t"]
    hyper = {name: rng.uniform(*DRAWN.get(name, OF_AN_AVERAGE)) for name in names}
    w, grads = rng.normal(size=WEIGHTS), rng.normal(size=(STEPS, WEIGHTS))
    states = [np.zeros((4, WEIGHTS) if kind == "ring" else WEIGHTS) for _, kind in fo._core.rule_states[rule]]

    there = scripts.run(WALK, rule, w.tolist(), grads.tolist(), [state.T.tolist() for state in states], hyper)
    for t, g in enumerate(grads, 1):
        at_t = {"t": t} if "t" in fo._core.rule_hypers[rule] else {}
        getattr(fo.kernels, rule)(w, g, *states, **hyper, **at_t)

    assert len(there[0]) == 1 + len(states)
    for k, here in enumerate([w, *states]):
        np.testing.assert_allclose(np.array([values[k] for values in there]).T, here, rtol=1e-6, atol=1e-9)
