"""Each optimizer of the page does what the line of Python does that it shows."""

import re

import numpy as np
import pytest

import fusedoptim as fo

from .browser import PLAY, Browser

OPTIMIZERS = re.findall(r"^  (\w+): {", (PLAY / "optimizers.js").read_text(), re.MULTILINE)
STEPS = 60

# Hyper-parameters at random positions of their sliders, the line of Python, and the weights after each step.
RUN = """
const [name, shares, start, grads] = arguments;
const optimizer = OPTIMIZERS[name];
const hyper = Object.fromEntries(Object.entries(optimizer.hyper).map(([each, first], k) => {
    if (typeof first === "boolean") return [each, shares[k] > 0.5];
    return [each, SLIDERS[each].value(Math.round(shares[k] * SLIDERS[each].last))];
}));
const step = stepper(optimizer, hyper);
let w = start;
return { line: in_python(optimizer, hyper), path: grads.map((g) => (w = step(w, g))) };
"""


def test_every_optimizer_is_found(scripts: Browser) -> None:
    assert scripts.run("return Object.keys(OPTIMIZERS)") == OPTIMIZERS


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_line_of_python(scripts: Browser, name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    w, grads = rng.normal(size=2), rng.normal(size=(STEPS, 2))
    there = scripts.run(RUN, name, rng.uniform(size=8).tolist(), w.tolist(), grads.tolist())
    optimizer = eval(there["line"], {"fo": fo, "w": w})
    for g, expected in zip(grads, there["path"], strict=True):
        optimizer.step(g)
        np.testing.assert_allclose(expected, w, rtol=1e-6, atol=1e-9, err_msg=there["line"])
