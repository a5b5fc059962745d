"""The typed program, which mypy reads in lint, is one that runs."""

import pickle

import numpy as np
import pytest

import fusedoptim as fo

from . import typed_program


def test_the_typed_program_runs() -> None:
    typed_program.nests()
    typed_program.attributes()
    w = np.zeros(3)
    assert typed_program.any_nest(fo.Adam({"w": w}), fo.Adam) is w


def test_a_class_in_brackets_is_the_class() -> None:
    opt = fo.Adam[np.ndarray](np.zeros(3))
    assert type(opt) is fo.Adam and opt.params.shape == (3,)
    assert type(pickle.loads(pickle.dumps(opt))) is fo.Adam


def test_a_class_of_ones_own_can_be_generic_or_not() -> None:
    class Mine(fo.Adam):
        pass

    class Other(fo.Adam[dict[str, np.ndarray]]):
        pass

    for kind in (Mine, Other):
        opt = kind({"w": np.zeros(3)})
        opt.step({"w": np.ones(3)})
        assert opt.t == 1 and isinstance(opt, fo.Optimizer)
        with pytest.raises(TypeError, match="unknown keyword 'clip'"):
            kind(np.zeros(3), clip=1.0)
    assert fo.Optimizer.registry["adam"] is fo.Adam
