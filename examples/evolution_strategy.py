"""Evolution strategies: a reward that has no gradient is climbed along an estimate of one (Salimans et al. 2017).

Pairs of opposite perturbations of the weights are tried, and the weighted mean of the perturbations estimates the
gradient of the expected reward. `maximize=True` ascends it; `clip_value` bounds what a lucky draw can do.
"""

import sys

import numpy as np

import fusedoptim as fo

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300
rng = np.random.default_rng(0)
sigma, pairs = 0.1, 50


def reward(w: np.ndarray) -> float:
    """How far a thrown ball gets, rounded to whole metres, at a speed and an angle."""
    speed, angle = 30 * np.tanh(w[0]), w[1]
    return float(np.floor(max(speed, 0) ** 2 * np.sin(2 * angle) / 9.81))


w = np.array([0.1, 0.2])
opt = fo.Adam(w, lr=fo.schedules.linear(0.05, n=steps, end=0.005), maximize=True, clip_value=10.0)
for _ in range(steps):
    noise = rng.standard_normal((pairs, w.size))
    gain = np.array([reward(w + sigma * e) - reward(w - sigma * e) for e in noise])
    opt.step(gain @ noise / (2 * sigma * pairs))
print(f"{reward(w):.0f} m at {np.degrees(w[1]):.0f} degrees after {opt.t} steps")
