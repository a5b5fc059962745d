"""Handwritten digits on several processes: `mpiexec -n 2 python -m mpi4py examples/mpi_digits.py`.

The bits are the same on 1, 2, 4 or 8 ranks. A run that is begun again, also with others, goes on from the file.
"""

import sys
import zlib
from pathlib import Path

import numpy as np
from mpi4py import MPI
from sklearn.datasets import load_digits

import fusedoptim as fo

steps, path = int((sys.argv[1:] or [300])[0]), Path((sys.argv[2:] or ["digits.safetensors"])[0])
images, labels = load_digits(return_X_y=True)
rng = np.random.default_rng(0)  # alike on all ranks: so are the first weights, and the batches
w1, w2 = rng.normal(0, 0.1, (64, 99)), rng.normal(0, 0.1, (99, 10))
start = {"w1": w1, "b1": np.zeros(99), "w2": w2, "b2": np.zeros(10)}
batches = [rng.integers(0, 1500, 16) for _ in range(8 * steps)]
opt = fo.distributed.Sharded(fo.AdamW, start, MPI.COMM_WORLD, lr=2e-3, clip_norm=1.0, minibatches=8, timeout=60)
if path.exists():
    opt.load(path)
params, grads = opt.params, opt.grads
for batch in opt.share(batches[8 * opt.t :]):
    x = images[batch] / 16
    hidden = np.maximum(x @ params["w1"] + params["b1"], 0)
    scores = np.exp(hidden @ params["w2"] + params["b2"])
    error = (scores / scores.sum(axis=1, keepdims=True) - np.eye(10)[labels[batch]]) / 16  # of the cross-entropy
    grads["w2"][:], grads["b2"][:] = hidden.T @ error, error.sum(axis=0)
    opt.ready("w2", "b2")  # on their way, while back-propagation goes on
    error = error @ params["w2"].T * (hidden > 0)
    grads["w1"][:], grads["b1"][:] = x.T @ error, error.sum(axis=0)
    opt.step()
opt.save(path)
scores = np.maximum(images[1500:] / 16 @ params["w1"] + params["b1"], 0) @ params["w2"] + params["b2"]
if opt.rank == 0:
    weights = zlib.crc32(b"".join(w.tobytes() for w in params.values()))
    print(f"{np.mean(scores.argmax(axis=1) == labels[1500:]):.1%} right after {opt.t} steps, weights {weights:08x}")
