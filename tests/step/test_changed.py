"""Arrays that changed since the optimizer took them, or that others took the place of: refused by name, whatever is called."""

import copy
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..elsewhere import package
from ..failures import Failures
from ..nests import normal

MAKE: dict[str, Callable[..., fo.Optimizer]] = {
    "Adam": fo.Adam,
    "ScheduleFreeAdamW": fo.ScheduleFreeAdamW,
    "Adafactor": fo.Adafactor,
    "Muon": fo.Muon,
}
each_optimizer = pytest.mark.parametrize("name", MAKE)

Params = dict[str, Any]


def weights() -> Params:
    return {"a": normal(0, 4, 6), "deep": [normal(1, 3, 8)]}


def grads() -> Params:
    return {"a": normal(2, 4, 6), "deep": [normal(3, 3, 8)]}


# Changes of one nest, and what is said. The array is that of ["a"], or the one in the list.


def reshape(nest: Params) -> None:
    nest["a"].shape = (nest["a"].size,)


def resize(nest: Params) -> None:
    nest["a"].resize(1000, refcheck=False)


def set_state(nest: Params) -> None:
    """Other memory for the same object."""
    nest["a"].__setstate__((1, (1000,), nest["a"].dtype, False, bytes(1000 * nest["a"].itemsize)))


def other_dtype(nest: Params) -> None:
    nest["a"].__setstate__((1, nest["a"].shape, np.dtype(np.float64), False, bytes(2 * nest["a"].nbytes)))


def read_only(nest: Params) -> None:
    nest["a"].flags.writeable = False


def replace(nest: Params) -> None:
    nest["a"] = nest["a"].copy()


def clip(nest: Params) -> None:
    """The NumPy idiom."""
    nest["deep"][0] = np.clip(nest["deep"][0], -1, 1)


def replace_list(nest: Params) -> None:
    nest["deep"] = list(nest["deep"])


def new_key(nest: Params) -> None:
    nest["new"] = np.zeros(3, np.float32)


def append(nest: Params) -> None:
    nest["deep"].append(np.zeros(3, np.float32))


def lose_key(nest: Params) -> None:
    del nest["a"]


def rename_key(nest: Params) -> None:
    nest["z"] = nest.pop("deep")


def empty(nest: Params) -> None:
    nest["deep"].clear()


INSIDE: dict[Callable[[Params], None], str] = {  # said about NAME["a"]
    reshape: r" had the shape \(.*\) and has \(\d+,\) now; set it back",
    resize: r" was resized or replaced; make a new optimizer",
    set_state: r" was resized or replaced; make a new optimizer",
    other_dtype: r" was (resized or replaced|float32 and is float64)",
    read_only: r" is read-only .*\.copy\(\)",
}
OTHERS: dict[Callable[[Params], None], str] = {
    replace: r'\["a"\] is another object .*\["a"\]\[\.\.\.\] = …',
    clip: r'\["deep"\]\[0\] is another object .*\["deep"\]\[0\]\[\.\.\.\] = …',
    replace_list: r'\["deep"\] is another object',
    new_key: r'\["new"\] is new; ',
    append: r'\["deep"\]\[1\] is new; ',
    lose_key: r'\["a"\] is gone; put it back',
    rename_key: r'\["deep"\] is gone; put it back',
    empty: r'\["deep"\]\[0\] is gone; put it back',
}
CHANGES = INSIDE | OTHERS


def update(optimizer: fo.Optimizer) -> None:
    with optimizer.stepping():
        optimizer.update("a", grads()["a"])


def inside(block: str) -> Callable[[fo.Optimizer], Any]:
    def enter(optimizer: fo.Optimizer) -> None:
        with getattr(optimizer, block)():
            raise AssertionError("is entered")

    return enter


def calls(optimizer: fo.Optimizer, folder: Path) -> dict[str, Callable[[], Any]]:
    """All that reads the arrays."""
    found: dict[str, Callable[[], Any]] = {
        "step": lambda: optimizer.step(grads()),
        "bind": lambda: optimizer.bind(grads()),
        "state_dict": optimizer.state_dict,
        "save": lambda: optimizer.save(folder / "new.safetensors"),
        "load": lambda: optimizer.load(folder / "before.safetensors"),
        "deepcopy": lambda: copy.deepcopy(optimizer),
        "pickle": lambda: pickle.dumps(optimizer),
        "add_group": lambda: optimizer.add_group({"params": normal(9, 2, 2)}),
    }
    if optimizer.accumulated:
        return found | {"flush": optimizer.flush}
    found["accumulate"] = lambda: setattr(optimizer, "accumulate", 2)
    if optimizer.accumulate == 1:
        found["update"] = lambda: update(optimizer)
    if optimizer.ema is not None:
        found |= {"using_ema": lambda: inside("using_ema")(optimizer), "ema_params": lambda: optimizer.ema_params}
    if hasattr(optimizer, "averaged"):
        found["averaged"] = lambda: inside("averaged")(optimizer)
    return found


def arrays_of(optimizer: fo.Optimizer) -> list[np.ndarray]:
    return [array for tensor in optimizer._tensors for array in (tensor.weight, *tensor.states.values())]


@each_optimizer
@pytest.mark.parametrize("accumulated", [0, 1])
def test_every_call_refuses_every_change(name: str, accumulated: int, tmp_path: Path) -> None:
    """Of the weights and of each state, before anything else is changed."""
    failures = Failures()
    options = {"accumulate": 3} if accumulated else {"ema": 0.5}
    states = MAKE[name](weights(), **options).state
    for nest in ("params", *states):
        for change, said in CHANGES.items():
            if nest in states and change is resize:  # NumPy refuses it, for states are parts of one buffer
                continue
            optimizer = MAKE[name](weights(), **options)
            for _ in range(3):
                optimizer.step(grads())
            for _ in range(accumulated):
                optimizer.step(grads())
            optimizer.save(tmp_path / "before.safetensors")
            change(optimizer.params if nest == "params" else optimizer.state[nest])
            of = "params" if nest == "params" else f'opt.state["{nest}"]'
            place = f'{nest}["a"]' if change in INSIDE else of
            held = arrays_of(optimizer)
            before = [array.tobytes() for array in held], optimizer.t, optimizer.accumulated, optimizer.steps
            for called, call in calls(optimizer, tmp_path).items():
                with failures.of(nest, change.__name__, called):
                    with pytest.raises((TypeError, ValueError)) as caught:
                        call()
                    told = str(caught.value).removeprefix("the memory of ")
                    assert told.startswith(place), told
                    if called not in ("load", "save"):
                        assert re.search(said, str(caught.value)), str(caught.value)
                    after = [array.tobytes() for array in held], optimizer.t, optimizer.accumulated, optimizer.steps
                    assert after == before
            assert not (tmp_path / "new.safetensors").exists()
    failures.show()


@each_optimizer
def test_set_back_it_goes_on(name: str) -> None:
    optimizer, twin = MAKE[name](weights()), MAKE[name](weights())
    params, m = optimizer.params, next(iter(optimizer.state.values()))
    own, shape = params["a"], m["a"].shape
    params["a"] = own.copy()
    m["a"].shape = (m["a"].size, 1, 1)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"rebind\(params\)"):
            optimizer.step(grads())
    params["a"], m["a"].shape = own, shape
    for each in (optimizer, twin):
        each.step(grads())
    assert [w.tobytes() for w in arrays_of(optimizer)] == [w.tobytes() for w in arrays_of(twin)]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_bound_gradients_that_changed(change: Callable[[Params], None]) -> None:
    """The binding stays what it was; other gradients can be given."""
    params, bound = weights(), grads()
    optimizer = fo.Adam(params)
    optimizer.bind(bound)
    held, before = arrays_of(optimizer), [array.tobytes() for array in arrays_of(optimizer)]
    change(bound)
    place = r'grads\["a"\]' if change in INSIDE else "grads"
    for _ in range(2):
        with pytest.raises((TypeError, ValueError), match=f"^(the memory of )?{place}{CHANGES[change]}"):
            optimizer.step()
    assert [array.tobytes() for array in held] == before and optimizer.t == 0
    optimizer.step(grads())
    assert optimizer.t == 1


def test_the_nest_of_all_states() -> None:
    optimizer = fo.Adam(weights())
    own = optimizer.state["m"]
    optimizer.state["m"] = {"a": own["a"], "deep": own["deep"]}
    with pytest.raises(ValueError, match=r'^opt.state\["m"\] is another object .* = …$'):
        optimizer.step(grads())
    optimizer.state["m"] = own
    optimizer.state["n"] = 1
    with pytest.raises(ValueError, match=r'^opt.state\["n"\] is new; take it out again'):
        optimizer.step(grads())
    del optimizer.state["n"]
    optimizer.step(grads())


def test_a_list_of_groups() -> None:
    optimizer = fo.SGD([{"params": weights()}, {"params": normal(5, 2)}])
    own = optimizer.params[1]
    optimizer.params[1] = own.copy()
    with pytest.raises(ValueError, match=r"^params\[1\] is another object"):
        optimizer.step([grads(), normal(6, 2)])
    optimizer.params[1] = own
    optimizer.step([grads(), normal(6, 2)])


def test_another_order_of_keys_is_no_change() -> None:
    params = weights()
    optimizer = fo.Adam(params)
    params["a"] = params.pop("a")
    optimizer.step(grads())
    assert optimizer.t == 1


def test_torch_gets_no_orphans() -> None:
    package("torch")
    params = weights()
    optimizer = fo.Adam(params)
    saved = optimizer.to_torch_state_dict()
    params["a"] = params["a"].copy()
    for call in (optimizer.to_torch_state_dict, lambda: optimizer.from_torch_state_dict(saved)):
        with pytest.raises(ValueError, match=r"rebind\(params\)"):
            call()


def test_a_weight_that_is_resized_in_a_block_of_which_it_is_left_out() -> None:
    """Its average is not taken of memory that is gone; the others' step is."""
    params = weights()
    optimizer = fo.SGD(params, ema=0.5)

    def block() -> None:
        with optimizer.stepping():
            optimizer.update(("deep", 0), grads()["deep"][0])
            resize(params)

    with pytest.raises(ValueError, match=r'^the memory of params\["a"\] was resized'):
        block()
    assert optimizer.t == 1 and optimizer.steps == {"a": 0, "deep": [1]}


def test_an_update_of_a_weight_that_is_reshaped_in_the_block() -> None:
    params = weights()
    optimizer = fo.SGD(params)
    before = params["a"].tobytes()
    with optimizer.stepping():
        reshape(params)
        with pytest.raises(ValueError, match=r'^params\["a"\] had the shape \(4, 6\)'):
            optimizer.update("a", grads()["a"].ravel())
        params["a"].shape = (4, 6)
    assert params["a"].tobytes() == before and optimizer.t == 0


# Each of these ended the process, or wrote where nothing of the optimizer is.
CRASHES = {
    "rows of a table that was reshaped": """
        w = np.zeros((4, 1 << 20))
        optimizer = fo.SGD(w)
        w.shape = (1 << 22,)
        optimizer.step(fo.RowGrad(np.array([(1 << 22) - 1]), np.ones(1)))""",
    "a state with other memory": """
        w = np.zeros(1 << 22)
        optimizer = fo.Momentum(w)
        optimizer.state["m"].__setstate__((1, (1,), np.dtype(float), False, bytes(8)))
        optimizer.step(np.ones(1 << 22))""",
    "the average of a weight that is gone": """
        w = np.zeros(1 << 22)
        optimizer = fo.SGD(w, ema=0.5)
        w.resize(0, refcheck=False)
        optimizer.ema_params""",
    "a block that leaves out a weight that is gone": """
        params = {"a": np.zeros(2), "b": np.zeros(1 << 22)}
        optimizer = fo.SGD(params, ema=0.5)
        with optimizer.stepping():
            optimizer.update("a", np.ones(2))
            params["b"].resize(0, refcheck=False)""",
}


@pytest.mark.parametrize("crash", CRASHES)
def test_memory_that_is_not_the_optimizers(crash: str) -> None:
    code = "import numpy as np, fusedoptim as fo\ntry:\n    if True:" + CRASHES[crash]
    code += "\nexcept ValueError as error:\n    print('refused')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr
