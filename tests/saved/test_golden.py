"""Files that were written once, by this version or an older one, are read for ever, and lead to the same bits."""

import json

import numpy as np
import pytest

import fusedoptim as fo

from .. import golden
from ..bits import assert_same_bits
from ..nests import arrays
from ..runs import arrays_by_name

EXPECTED = json.loads(golden.EXPECTED.read_text())


def test_every_rule_and_schedule_has_one() -> None:
    files = {path.stem for path in golden.FOLDER.glob("*.safetensors")}
    assert set(golden.CASES) == files == set(EXPECTED), "python -m tests.golden writes what is missing"
    rules = {row.rule for row in golden.CASES.values()}
    assert rules == set(fo.Optimizer.registry)
    assert {row.optimizer for row in golden.CASES.values()} >= {fo.PolyakSGD, fo.SparseAdam}
    assert set(golden.SCHEDULES) == set(fo.schedules.__all__) - {"Schedule"}


@pytest.mark.parametrize("name", golden.CASES)
def test_it_goes_on_with_the_same_bits(name: str) -> None:
    optimizer = golden.begin(golden.CASES[name])
    for w in arrays(optimizer.params):
        w.fill(np.nan)
    metadata = optimizer.load(golden.FOLDER / f"{name}.safetensors")
    assert metadata == ({"epoch": 1} if name in golden.COUNTS else {})
    if name in golden.COUNTS:
        assert optimizer.steps == [{"w": 1}, [2]]
    golden.run(optimizer, golden.CALLS, golden.MORE)
    got, wanted = arrays_by_name(optimizer), EXPECTED[name]
    assert set(got) == set(wanted)
    for key, array in got.items():
        expected = np.array(wanted[key], array.dtype).reshape(array.shape)
        if isinstance(optimizer, fo.Muon):  # whose products are NumPy's
            np.testing.assert_allclose(array, expected, rtol=1e-4, atol=1e-6)
        else:
            assert_same_bits(array, expected, f"{name} {key}")
