"""How much an optimizer's step varies with the choice of minibatches: what averaging gradients is for."""

import numpy as np

from fusedoptim.cli.demo import mlp
from fusedoptim.cli.demo.optimizers import SETTINGS
from fusedoptim.cli.demo.training import BATCH, SIZES, Digits

# The variance of the step over that of one minibatch's gradient, if minibatches are drawn independently.
EXPECTED = {
    "SGD": 1.0,
    "SGD, mean of 4": 1 / 4,
    "WindowSGD, last 8": 1 / 8,
    "Momentum": (1 - 0.9) / (1 + 0.9),
}


def measure(data: Digits, seed: int, draws: int = 600) -> dict[str, float]:
    """The same ratio, measured: the optimizers step along gradients of one and the same network."""
    rng = np.random.default_rng(seed)
    params = mlp.init(SIZES, rng)
    gradients = []
    for _ in range(draws):
        batch = rng.choice(len(data.y), BATCH, replace=False)
        layers = mlp.backward(params, data.x[batch], data.y[batch])
        gradients.append(np.concatenate([g.ravel() for layer in layers for g in layer.values()]))
    variances = {name: _variance(name, gradients) for name in EXPECTED}
    return {name: variance / variances["SGD"] for name, variance in variances.items()}


def _variance(name: str, gradients: list[mlp.Array]) -> float:
    """Of the steps at a learning rate of 1, over all parameters."""
    step = np.zeros_like(gradients[0])
    opt = SETTINGS[name](step)
    opt.lr = 1.0
    steps = []
    for i, gradient in enumerate(gradients):
        step.fill(0)
        before = opt.t
        opt.step(gradient)
        if opt.t > before and i >= 100:  # the running average has to fill first
            steps.append(step.copy())
    return float(np.var(steps, axis=0).sum())
