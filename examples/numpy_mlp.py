"""A small network in plain NumPy that tells two spirals apart.

The gradients stay in the same arrays, so they are bound once, and `step` takes none. It clips them by their norm and
averages the weights, with which the network is evaluated. The learning rate warms up and then follows a cosine.
"""

import sys

import numpy as np

import fusedoptim as fo

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
rng = np.random.default_rng(0)
label = np.arange(1000) % 2
angle = rng.uniform(1.0, 10.0, 1000)
points = np.stack([np.cos(angle + np.pi * label), np.sin(angle + np.pi * label)], axis=1) * angle[:, None] / 10
first, last = ({"w": rng.normal(0, n**-0.5, (n, m)), "b": np.zeros(m)} for n, m in ((2, 100), (100, 1)))
params = {"first": first, "last": last}
grads = {name: {key: np.zeros_like(array) for key, array in layer.items()} for name, layer in params.items()}
lr = fo.schedules.warmup_cosine(0.05, n=steps, warmup=steps // 20)
opt = fo.Adam(params, lr=lr, clip_norm=1.0, ema=0.99)
opt.bind(grads)

for _ in range(steps):
    batch = rng.integers(0, 1000, 100)
    hidden = np.tanh(points[batch] * 5 @ first["w"] + first["b"])
    error = 1 / (1 + np.exp(-hidden @ last["w"] - last["b"])) - label[batch, None]  # of the cross-entropy
    np.divide(hidden.T @ error, 100, out=grads["last"]["w"])
    np.mean(error, axis=0, out=grads["last"]["b"])
    error = error @ last["w"].T * (1 - hidden**2)
    np.divide(points[batch].T * 5 @ error, 100, out=grads["first"]["w"])
    np.mean(error, axis=0, out=grads["first"]["b"])
    opt.step()

with opt.using_ema():
    outputs = np.tanh(points * 5 @ first["w"] + first["b"]) @ last["w"] + last["b"]
print(f"{np.mean((outputs[:, 0] > 0) == label):.1%} right after {opt.t} steps")
