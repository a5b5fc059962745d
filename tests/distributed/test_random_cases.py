"""Random nests, optimizers, options, ranks and buckets: the bits of one process, and of a file that other ranks load."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.core import tree

from ..bits import assert_same_bits
from ..nests import arrays
from ..nightly import NIGHTLY
from .ranks import Sharded, assert_same, in_threads, stepped, stepped_alone

CASES = 1500 if NIGHTLY else 40
OPTIMIZERS = [
    *(
        fo.Adam,
        fo.AdamW,
        fo.SGD,
        fo.Lion,
        fo.Adan,
        fo.RMSProp,
        fo.ADOPT,
        fo.ScheduleFreeAdamW,
        fo.WindowSGD,
        fo.NoisySGD,
    ),
    *(fo.LAMB, fo.LARS, fo.NovoGrad, fo.Fromage, fo.RowWiseAdagrad, fo.RowWiseAdam, fo.Adafactor, fo.SM3),
]


def random_shape(rng: random.Random) -> tuple[int, ...]:
    return rng.choice(
        [
            (),
            (rng.randrange(40),),
            (rng.randrange(1, 20_000),),
            (rng.randrange(1, 200), rng.randrange(1, 60)),
            (4096 * rng.randrange(1, 5) + rng.randrange(-1, 2),),
            (rng.randrange(1, 5), rng.randrange(1, 9), rng.randrange(1, 300)),
        ]
    )


@pytest.mark.parametrize("seed", range(CASES))
def test_random_cases(seed: int, tmp_path: Path) -> None:
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    dtypes = [rng.choice([np.float32, np.float32, np.float64]) for _ in range(rng.randrange(1, 9))]
    params: Any = {f"p{k}": np.asarray(numbers.normal(size=random_shape(rng)), d) for k, d in enumerate(dtypes)}
    make, keywords = rng.choice(OPTIMIZERS), {"bucket_bytes": rng.choice([20_000, 100_000, 1 << 25])}
    chosen: dict[str, Any] = {"clip_norm": rng.choice([0.1, 1.0, 1e6]), "ema": 0.9, "clip_value": 0.01}
    options = {name: value for name, value in chosen.items() if rng.random() < 0.4}
    ranks, others = rng.randrange(1, 7), rng.randrange(1, 7)
    minibatches = ranks * rng.choice([1, 1, 2, 3])
    plain = stepped_alone(make, params, minibatches, ranks, 2, **options)
    path = tmp_path / "run.safetensors"

    def save(transport: Any) -> None:
        optimizer = stepped(transport, make, params, minibatches, 2, **options, **keywords)
        assert_same(optimizer, plain)
        optimizer.save(path)

    def load(transport: Any) -> None:
        optimizer = Sharded(make, tree.map_leaves(np.zeros_like, params), transport, **options, **keywords)
        optimizer.load(path)
        plain.last_grad_norm = None
        assert_same(optimizer, plain)

    in_threads(ranks, save)
    in_threads(others, load)
    alone = make(tree.map_leaves(np.zeros_like, params), **options)
    alone.load(path)
    for got, wanted in zip(arrays(alone.params), arrays(plain.params), strict=True):
        assert_same_bits(got, wanted)
