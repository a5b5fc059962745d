"""A program as users write it, for type checkers: mypy takes it in lint, and `test_types.py` runs what is right in it.

A line that must not pass says so by `type: ignore`, of which mypy reports each that is not needed.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple, assert_type

import numpy as np
from numpy.typing import NDArray

import fusedoptim as fo

Array = NDArray[np.float32]
Schedule = fo.schedules.Schedule


class Layer(NamedTuple):
    w: Array
    b: Array


@dataclass
class Model:
    layers: list[Layer]


def zeros(*shape: int) -> Array:
    return np.zeros(shape, np.float32)


def nests() -> None:
    """What an optimizer makes in the shape of its parameters has their type."""
    params = {"w": zeros(3), "b": zeros(1)}
    adam = fo.Adam(params, lr=fo.schedules.cosine(0.1, n=10), clip_norm=1.0, ema=0.9)
    assert_type(adam, fo.Adam[dict[str, Array]])
    assert_type(adam.params["w"], Array)
    assert_type(adam.state["m"]["w"], Array)
    assert_type(adam.ema_params, dict[str, Array])

    layer = fo.SGD(Layer(zeros(2, 2), zeros(2)), lr=0.1)
    assert_type(layer.params.b, Array)
    model = fo.ScheduleFreeAdamW(Model([Layer(zeros(2, 2), zeros(2))]))
    assert_type(model.state["v"].layers[0].w, Array)
    single = fo.Muon(zeros(2, 2))
    assert_type(single.params, Array)


def attributes() -> None:
    opt = fo.Lion([{"params": {"w": zeros(3)}, "lr": 0.1}, {"params": zeros(2)}])
    assert_type(opt.groups[0].lr, float | Schedule)
    assert_type(opt.groups[1].current_lr, float)
    opt.groups[0].lr = 0.5
    opt.groups[1].lr = fo.schedules.constant(0.1)
    opt.lr = 1e-3
    assert_type(opt.current_lr, float)
    assert_type(opt.last_grad_norm, float | None)
    assert_type(opt.t, int)


def any_nest(opt: fo.Optimizer, kind: type[fo.Optimizer]) -> Any:
    """Without a type in brackets it is one of any nest, also where generics have to have one."""
    assert isinstance(opt, kind)
    assert_type(opt.params, Any)
    return opt.params["w"]


def wrong() -> None:
    fo.Adam(3.0)  # type: ignore[type-var]
    fo.Adam(zeros(3), lr="fast")  # type: ignore[arg-type]
    fo.Adam(zeros(3), clip_nrom=1.0)  # type: ignore[call-arg]
    fo.Adam(zeros(3), betas=0.9)  # type: ignore[arg-type]
    adam = fo.Adam({"w": zeros(3)})
    adam.step(1.0)  # type: ignore[arg-type]
    print(adam.params[0])  # type: ignore[index]
    adam.params = {}  # type: ignore[misc]
    print(adam.state["m"].w)  # type: ignore[attr-defined]
    adam.groups[0].lr = "fast"  # type: ignore[assignment]
    sgd: fo.SGD[Array] = fo.SGD({"w": zeros(3)})  # type: ignore[arg-type]
    print(fo.info()["thread"])  # type: ignore[typeddict-item]
    sgd.t = "1"  # type: ignore[assignment]
