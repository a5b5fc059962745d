"""States of 16 and 8 bits are cut among ranks as others are: with the bits of one process, and in one file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.core import tree
from fusedoptim.distributed import Sharded
from fusedoptim.distributed.threads import Threads

from ..elsewhere import package
from .ranks import BUCKET, assert_same, in_threads, some_params, stepped, stepped_alone
from .test_one_file import parts

RANKS = 3


def single_params() -> dict[str, Any]:
    return {name: nest for name, nest in some_params().items() if name not in ("double", "small")}


@pytest.mark.parametrize("state_dtype", ["bfloat16", "float8", {"m": "float8", "v": "bfloat16"}], ids=str)
@pytest.mark.parametrize("make", [fo.AdamW, fo.Adam])
def test_bits_and_files(make: Any, state_dtype: Any, tmp_path: Path) -> None:
    if "bfloat16" in str(state_dtype):
        package("ml_dtypes")  # by which a file has them
    keywords = {"state_dtype": state_dtype, "seed": 7, "clip_norm": 1.0}
    params, path = single_params(), tmp_path / "run.safetensors"
    plain = stepped_alone(make, params, RANKS, RANKS, **keywords)
    plain.save(path.with_name("plain"))

    def save(transport: Threads) -> None:
        optimizer = stepped(transport, make, params, **keywords)
        assert_same(optimizer, plain)
        optimizer.save(path)

    def load(transport: Threads) -> None:
        zeros = tree.map_leaves(np.zeros_like, params)
        optimizer = Sharded(make, zeros, transport, bucket_bytes=BUCKET, **keywords)
        optimizer.load(path.with_name("plain"))
        assert_same(optimizer, plain)

    in_threads(RANKS, save)
    assert parts(path) == parts(path.with_name("plain"))
    plain.last_grad_norm = None
    in_threads(4, load)


def test_what_is_of_one_process() -> None:
    """Weights of 16 bits, and copies of them."""
    w = np.zeros(5000, np.float16)
    with pytest.raises(TypeError, match="must be float32 or float64 to be cut among ranks, got float16"):
        Sharded(fo.AdamW, w)
    with pytest.raises(TypeError, match="copy_to is of one process"):
        Sharded(fo.AdamW, w.astype(np.float32), copy_to=w)
    with pytest.raises(ValueError, match="float64"):
        Sharded(fo.AdamW, w.astype(float), state_dtype="float8")
