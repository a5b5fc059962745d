"""Nests of every kind: what is made in their shape has their classes, and what is none is refused by name."""

import collections
import copy
import gc
import io
import pickle
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import assert_same_bits
from ..cases import Case
from ..nests import arrays, bits, copied, gradients, normal, snapshot, unchanged


class Pair(NamedTuple):
    w: Any
    b: Any


@dataclass
class Layer:
    w: Any
    b: Any = None
    activation: Any = np.tanh
    units: int = 3
    scale: float = 0.5
    name: str = "dense"

    def __call__(self, x: Any) -> Any:
        return self.activation(x @ self.w)


@dataclass(frozen=True, slots=True)
class Frozen:
    layers: list[Any]
    head: Layer
    size: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", len(self.layers))


def of_classes() -> dict[str, Any]:
    layers = [Layer(normal(k, 3, 3), normal(k + 9, 3)) for k in range(2)]
    return {
        "named tuple": Pair(normal(0, 3), normal(1, 2)),
        "dataclass": layers[0],
        "one without a bias": Layer(normal(0, 3)),
        "frozen, with slots": Frozen(layers, Layer(normal(2, 4))),
        "mixed": {"enc": Pair([layers[0]], (layers[1],)), "dec": collections.OrderedDict(a=Pair(normal(3, 1), ()))},
    }


def classes(nest: Any) -> Any:
    """Of all its parts, and the fields that are no arrays."""
    if isinstance(nest, dict):
        return {key: classes(child) for key, child in nest.items()}
    if isinstance(nest, list | tuple):
        return type(nest), [classes(child) for child in nest]
    if isinstance(nest, Layer | Frozen):
        names = type(nest).__dataclass_fields__
        return type(nest), [classes(getattr(nest, name)) for name in names]
    return np.ndarray if isinstance(nest, np.ndarray) else nest


@pytest.mark.parametrize("nest", of_classes())
def test_what_is_made_in_the_shape_of_a_nest_has_its_classes(nest: str) -> None:
    params = of_classes()[nest]
    weights = arrays(params)
    alone = [w.copy() for w in weights]
    optimizer, singles = fo.Adam(params, ema=0.5), [fo.Adam(w, ema=0.5) for w in alone]
    assert optimizer.params is params and len(weights) > 0
    for made in (
        optimizer.ema_params,
        *optimizer.state.values(),
        optimizer.state_dict()["state"]["m"],
        fo.arena(params),
    ):
        assert classes(made) == classes(params)
    for t in range(3):
        grads = gradients(params, t)
        assert classes(grads) == classes(params)
        optimizer.step(grads)
        for single, g in zip(singles, arrays(grads), strict=True):
            single.step(g)
    for w, was, wanted in zip(arrays(params), weights, alone, strict=True):
        assert w is was
        assert_same_bits(w, wanted)
    assert bits(optimizer.ema_params) == [bits(single.ema_params)[0] for single in singles]


@pytest.mark.parametrize("nest", of_classes())
@pytest.mark.parametrize("way", [copy.deepcopy, lambda thing: pickle.loads(pickle.dumps(thing))])
def test_copies_and_checkpoints_of_them(nest: str, way: Callable[[Any], Any], tmp_path: Any) -> None:
    optimizer = fo.Adam(of_classes()[nest], ema=0.5)
    optimizer.step(gradients(optimizer.params, 1))
    optimizer.save(tmp_path / "run")
    loaded, told = fo.Adam(copied(optimizer.params), ema=0.5), fo.Adam(copied(optimizer.params), ema=0.5)
    loaded.load(tmp_path / "run")
    told.load_state_dict(optimizer.state_dict())
    other = way(optimizer)
    assert classes(other.params) == classes(optimizer.params)
    for each in (optimizer, loaded, told, other):
        each.step(gradients(optimizer.params, 2))
    assert snapshot(loaded) == snapshot(told) == snapshot(other) == snapshot(optimizer)


def test_places_in_them(tmp_path: Any) -> None:
    params = {"net": Frozen([Layer(np.ones(2), np.ones(2))], Layer(np.ones(2))), "pair": Pair(np.ones(2), np.ones(2))}
    optimizer = fo.SGD(params, lr=1.0)
    assert [tensor.path for tensor in optimizer._tensors] == [
        '["net"].layers[0].w',
        '["net"].layers[0].b',
        '["net"].head.w',
        '["pair"][0]',
        '["pair"][1]',
    ]
    with optimizer.stepping():
        optimizer.update(("net", "head", "w"), np.ones(2))
        optimizer.update(("pair", 1), np.ones(2))
    assert params["net"].head.w.tolist() == params["pair"].b.tolist() == [0, 0]
    with pytest.raises(TypeError, match=r'^grads\["net"\]\.layers\[0\]\.b must be a numpy\.ndarray'):
        optimizer.step(copied(params) | {"net": Frozen([Layer(np.ones(2), 1.0)], Layer(np.ones(2)))})


def test_a_frozen_field_may_have_anything_for_a_gradient() -> None:
    optimizer = fo.SGD(Layer(np.ones(2), np.ones(2)), lr=1.0)
    optimizer.freeze("b")
    optimizer.step(Layer(np.ones(2)))
    assert optimizer.params.w.tolist() == [0, 0] and optimizer.params.b.tolist() == [1, 1]


@dataclass
class Gradient:
    b: Any
    w: Any


class Reversed(NamedTuple):
    b: Any
    w: Any


def test_gradients_of_another_class() -> None:
    w, b = np.ones(2), np.ones(2)
    record = fo.SGD(Layer(w, b), lr=1.0)
    record.step(Gradient(np.zeros(2), np.ones(2)))
    assert (w.tolist(), b.tolist()) == ([0, 0], [1, 1])
    for wrong in ({"w": w.copy(), "b": b.copy()}, Pair(w.copy(), b.copy()), Frozen([], record.params), None, Layer):
        with unchanged(record), pytest.raises(TypeError, match=r"grads must be a Layer|needs bind"):
            record.step(wrong)
    pair = fo.SGD(Pair(w, b), lr=1.0)
    pair.step([np.zeros(2), np.ones(2)])
    assert (w.tolist(), b.tolist()) == ([0, 0], [0, 0])
    with unchanged(pair), pytest.raises(TypeError, match=r"fields \('w', 'b'\).*got Reversed\('b', 'w'\)"):
        pair.step(Reversed(np.ones(2), np.zeros(2)))


@pytest.mark.parametrize("value", [{1.0}, np.float64(1.0), object(), 1j])
def test_a_field_that_may_be_meant_for_a_weight_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"^params\.b must be a numpy\.ndarray"):
        fo.SGD(Layer(np.ones(2), value))


def loops() -> list[Any]:
    own: dict[str, Any] = {"w": np.ones(1)}
    own["self"] = own
    row: list[Any] = []
    row.append((row,))
    layer = Layer(np.ones(1))
    layer.b = {"up": layer}
    deep: Any = np.ones(1)
    for _ in range(100_000):
        deep = [deep]
    return [own, row, layer, deep]


@pytest.mark.parametrize("k", range(4))
def test_a_nest_without_an_end_is_refused(k: int) -> None:
    optimizer = fo.SGD(np.ones(1))
    for make in (fo.SGD, lambda nest: optimizer.add_group({"params": nest})):
        with unchanged(optimizer), pytest.raises(ValueError, match=r"^params must be a nest of at most 100 levels"):
            make(loops()[k])
    with pytest.raises(ValueError, match=r"^nest must be a nest of at most"):
        fo.arena(loops()[k])


def test_keys_that_cannot_be_sorted() -> None:
    params = {1: np.ones(1), "a": np.ones(1), None: np.ones(1), (2, "b"): np.ones(1)}
    optimizer = fo.SGD(params, lr=1.0)
    optimizer.step(copied(params))
    assert all(w == 0 for w in params.values())
    with pytest.raises(ValueError, match=r"missing: \[1, 'a'\], not in params: \['c', 2\]"):
        optimizer.step({None: np.ones(1), (2, "b"): np.ones(1), "c": np.ones(1), 2: np.ones(1)})
    for spec in ({"params": np.ones(1), 1: 2, "b": 3}, {"params": np.ones(1), ("lr",): 2, None: 3}):
        with pytest.raises(TypeError, match=r"^unknown keyword .* in group 0"):
            fo.SGD([spec])
    for saved in ({1: 2, "b": 3}, optimizer.state_dict() | {1: 2, None: 3}):
        with pytest.raises(ValueError, match=r"^the state dict must have the keys"):
            optimizer.load_state_dict(saved)


def test_a_dict_that_makes_up_what_it_lacks(kind: Case) -> None:
    optimizer = kind.make({"w": normal(0, 2), "bias": normal(1, 2)})
    wrong = collections.defaultdict(lambda: np.zeros(2, np.float32), w=normal(2, 2), b=normal(3, 2))
    with unchanged(optimizer), pytest.raises(ValueError, match=r"missing: \['bias'\], not in params: \['b'\]"):
        optimizer.step(wrong)
    assert list(wrong) == ["w", "b"]
    wrong["bias"] = wrong.pop("b")
    optimizer.step(wrong)
    assert optimizer.t == 1


# Groups, or nests with a key "params"


def flax(**more: Any) -> dict[str, Any]:
    return {"params": {"w": np.ones(2)}, "batch_stats": {"mean": np.ones(2)}} | more


NESTS: dict[str, Callable[[], Any]] = {
    "statistics": lambda: [flax(), flax()],
    "none of them yet": lambda: [flax(batch_stats={})],
    "arrays": lambda: [flax(batch_stats=np.ones(2))],
    "lists": lambda: [flax(batch_stats=[np.ones(2)])],
    "one of two": lambda: [flax(), {"params": np.ones(2)}],
    "a named tuple": lambda: Pair({"params": np.ones(2)}, {"params": np.ones(2)}),
    "alone": flax,
}


@pytest.mark.parametrize("nest", NESTS)
def test_nests_that_have_a_key_params(nest: str) -> None:
    params = NESTS[nest]()
    optimizer = fo.AdamW(params)
    assert optimizer.params is params and len(optimizer.groups) == 1
    before = bits(params)
    optimizer.step(gradients(params, 1))
    assert all(now != was for now, was in zip(bits(params), before, strict=True))


def test_groups() -> None:
    nest = {"w": np.ones(2)}
    for params in (
        [{"params": nest}],
        ({"params": nest, "betas": np.array([0.5, 0.75])},),
        [{"params": nest, "lr": 1}],
    ):
        optimizer = fo.Adam(params)
        assert optimizer.params == [nest] and len(optimizer.groups) == 1


@pytest.mark.parametrize(
    ("keyword", "value", "near"),
    [("lrr", 1, "'lr'"), ("beta", (0.9, 0.99), "'betas'"), ("wieght_decay", 0.1, "'weight_decay'")],
)
def test_a_misspelt_hyper_parameter_is_named(keyword: str, value: Any, near: str) -> None:
    said = f"^unknown keyword '{keyword}' in group 0; did you mean {near}"
    with pytest.raises(TypeError, match=said):
        fo.Adam([{"params": np.ones(2), keyword: value}])
    with pytest.raises(TypeError, match=r"^unknown keyword 'batch_stats' in group 1"):
        fo.Adam(np.ones(2)).add_group(flax())


# Parts of a nest


@pytest.mark.parametrize("grouped", [False, True])
def test_a_part_of_a_nest_is_frozen_and_thawed(kind: Case, grouped: bool) -> None:
    nest = {"enc": {"a": normal(0, 3), "b": [normal(1, 2), normal(2, 2)]}, "encoder": normal(3, 2)}
    optimizer, prefix = kind.make([{"params": nest}] if grouped else nest), (0,) * grouped

    def frozen() -> list[bool]:
        return [frozen for _, frozen in optimizer._plan.members]

    optimizer.freeze((*prefix, "enc"))
    assert frozen() == [True, True, True, False]
    before = bits(nest["enc"])
    grads = copied(nest) | {"enc": {"a": None, "b": [None, None]}}
    for _ in range(2):
        optimizer.step([grads] if grouped else grads)
    assert bits(nest["enc"]) == before
    optimizer.thaw((*prefix, "enc", "b"))
    assert frozen() == [True, False, False, False]
    optimizer.freeze(prefix)
    assert all(frozen())
    optimizer.thaw((*prefix, "encoder"), (*prefix, "enc", "b", 1))
    assert frozen() == [True, True, False, False]
    for key in ("en", ("enc", "c"), ("enc", "a", 0), [], np.ones(2)):
        with pytest.raises(KeyError, match="no parameter has the key"):
            optimizer.thaw((*prefix, "enc"), key)
    assert frozen() == [True, True, False, False]


# joblib


@pytest.mark.parametrize("grouped", [False, True])
def test_joblib_gives_an_optimizer_that_steps_its_params(grouped: bool) -> None:
    """It writes an array anew wherever it meets it."""
    joblib = pytest.importorskip("joblib", reason="joblib, as of scikit-learn, is not installed")
    model = {"w": normal(0, 4), "layer": Layer(normal(1, 3))}
    optimizer = fo.Adam([{"params": model}, {"params": normal(2, 2)}] if grouped else model, ema=0.5)
    optimizer.step(gradients(optimizer.params, 1))
    file = io.BytesIO()
    joblib.dump((model, optimizer), file)
    file.seek(0)
    its_model, other = joblib.load(file)
    assert (other.params[0] if grouped else other.params) is its_model is other.groups[0].params
    for tensor, w in zip(other._tensors, arrays(other.params), strict=True):
        assert tensor.weight is w
    for each in (optimizer, other):
        each.step(gradients(optimizer.params, 2))
    assert snapshot(other) == snapshot(optimizer) and bits(its_model) == bits(model)


# Whoever has an optimizer


@dataclass
class Model:
    """Its own parameters, with their optimizer beside them."""

    w: np.ndarray

    def __post_init__(self) -> None:
        self.optimizer = fo.SGD(self)


class Params(dict[str, Any]):
    """The same of a dict."""

    optimizer: fo.Optimizer


def test_a_nest_that_has_its_optimizer_is_let_go() -> None:
    model, params = Model(np.ones(3)), Params(w=np.ones(3))
    params.optimizer = fo.SGD(params)
    grads = Model(np.ones(3)), Params(w=np.ones(3))
    for nest, grad in zip((model, params), grads, strict=True):
        nest.optimizer.bind(grad)
        nest.optimizer.step()
    alive = [weakref.ref(model), weakref.ref(params)]
    del model, params, nest, grads, grad
    gc.collect()
    assert [ref() for ref in alive] == [None, None]


def other_key(key: str) -> str:
    """An equal string that is another object, as from a file."""
    return "".join(list(key))


class Key:
    """Equal to a string, and calls a function when it is asked."""

    def __init__(self, name: str, then: Callable[[], object]) -> None:
        self.name, self.then = name, then

    def __hash__(self) -> int:
        return hash(self.name)

    def __eq__(self, other: object) -> bool:
        self.then()
        return self.name == other


NAMED = {"a long name": {"w": np.ones(2), "b": np.ones(3)}, "another name": [np.ones(4), (np.ones(5), np.ones(6))]}


@pytest.mark.parametrize(
    "keyed",
    [
        lambda items: dict(items),
        lambda items: dict(reversed(items)),
        lambda items: {other_key(key): value for key, value in items},
        lambda items: {other_key(key): value for key, value in reversed(items)},
        lambda items: {Key(key, lambda: None): value for key, value in items},
        lambda items: collections.OrderedDict(reversed(items)),
    ],
    ids=["in order", "reversed", "other objects", "others reversed", "a class of keys", "an ordered dict"],
)
@pytest.mark.parametrize("sequence", [list, tuple])
def test_gradients_go_with_parameters_by_key(keyed: Callable[[Any], Any], sequence: Callable[[Any], Any]) -> None:
    """Back-propagation fills a dict from its end."""

    def nest(value: Any) -> Any:
        if isinstance(value, dict):
            return keyed([(key, nest(child)) for key, child in value.items()])
        return sequence(nest(child) for child in value) if isinstance(value, list | tuple) else 0.5 * value.size * value

    params = copied(NAMED)
    fo.SGD(params, lr=1.0).step(nest(NAMED))
    for w in arrays(params):
        assert_same_bits(w, np.ones_like(w) - 0.5 * w.size)


@pytest.mark.parametrize("change", ["the dict", "the list", "all"])
def test_gradients_that_change_while_their_keys_are_compared(change: str) -> None:
    params = copied(NAMED)
    held: dict[Any, Any] = {}

    def spoil() -> None:
        if change != "the list":
            held["inner"].clear()
        if change != "the dict":
            held["outer"][:] = []

    held["inner"] = {Key("w", spoil): np.ones(2), Key("b", spoil): np.ones(3)}
    held["outer"] = [np.ones(4), (np.ones(5), np.ones(6))]
    grads = {"a long name": held["inner"], "another name": held["outer"]}
    optimizer = fo.SGD(params, lr=1.0)
    with pytest.raises((ValueError, RuntimeError)):
        optimizer.step(grads)
    assert optimizer.t == 0 and bits(params) == bits(NAMED)


def test_what_a_key_raises_is_raised() -> None:
    def fail() -> None:
        raise ArithmeticError("of the key")

    optimizer = fo.SGD({"w": np.ones(1)})
    with pytest.raises(ArithmeticError, match="of the key"):
        optimizer.step({Key("w", fail): np.ones(1)})
    assert optimizer.t == 0
