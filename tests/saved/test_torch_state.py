"""State dicts that go to torch and come back: training goes on there, or here, along the same path."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.saved.torch_state import COUNTERPARTS

from ..cases import CASES, MATRIX_CASES, Case
from ..changes import setting
from ..nests import unchanged

torch = pytest.importorskip("torch", reason="torch, with which to exchange state dicts, is not installed")

VECTOR, MATRIX = (7,), (4, 7)


@pytest.fixture(autouse=True)
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """torch keeps some numbers, such as NAdam's product of momenta, in its default dtype, and Muon computes in bfloat16."""
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def gradients(seed: int, steps: int, other: tuple[int, ...] = VECTOR) -> list[list[np.ndarray]]:
    """Of what `start` makes."""
    rng = np.random.default_rng(seed)
    return [[rng.normal(size=shape) for shape in ((6, 5), other)] for _ in range(steps)]


def start(other: tuple[int, ...] = VECTOR) -> list[np.ndarray]:
    """A matrix, and another parameter."""
    rng = np.random.default_rng(0)
    return [rng.uniform(5, 6, shape) for shape in ((6, 5), other)]


def other_shape(row: Case) -> tuple[int, ...]:
    return MATRIX if row in MATRIX_CASES else VECTOR


def in_torch(weights: list[np.ndarray], name: str) -> Any:
    params = [torch.tensor(w, requires_grad=True) for w in weights]
    return params, getattr(torch.optim, name)(params)


def run_torch(params: list[Any], optimizer: Any, steps: list[list[np.ndarray]]) -> None:
    for grads in steps:
        for param, g in zip(params, grads, strict=True):
            param.grad = torch.tensor(g)
        optimizer.step()


def run(optimizer: fo.Optimizer, steps: list[list[np.ndarray]]) -> None:
    for grads in steps:
        optimizer.step(grads)


def assert_same_weights(weights: list[np.ndarray], params: list[Any]) -> None:
    for w, param in zip(weights, params, strict=True):
        np.testing.assert_allclose(w, param.detach().numpy(), rtol=1e-10)


def representable(case: Case) -> bool:
    """Whether torch can have these hyper-parameters."""
    if case.rule not in COUNTERPARTS or any(map(callable, case.keywords.values())):
        return False
    absent = COUNTERPARTS[case.rule].absent
    return all(value == absent.get(name, value) for name, value in case.keywords.items())


EXCHANGED = [case for case in CASES + MATRIX_CASES if representable(case)]


def test_every_counterpart_is_exchanged() -> None:
    assert {case.rule for case in EXCHANGED} | {"SparseAdam"} == set(COUNTERPARTS)


@pytest.mark.parametrize("done", [0, 1, 5])
@pytest.mark.parametrize("row", EXCHANGED, ids=str)
def test_training_goes_on_in_torch(row: Case, done: int) -> None:
    before, after = gradients(1, done, other_shape(row)), gradients(2, 20, other_shape(row))
    weights = start(other_shape(row))
    ours = row.make(weights)
    run(ours, before)
    params, theirs = in_torch(weights, COUNTERPARTS[row.rule].name)
    theirs.load_state_dict(ours.to_torch_state_dict())
    run_torch(params, theirs, after)
    run(ours, after)
    assert_same_weights(weights, params)


@pytest.mark.parametrize("done", [0, 1, 5])
@pytest.mark.parametrize("row", EXCHANGED, ids=str)
def test_training_goes_on_here(row: Case, done: int) -> None:
    before, after = gradients(1, done, other_shape(row)), gradients(2, 20, other_shape(row))
    params, theirs = in_torch(start(other_shape(row)), COUNTERPARTS[row.rule].name)
    theirs.load_state_dict(row.make(start(other_shape(row))).to_torch_state_dict())  # the hyper-parameters
    run_torch(params, theirs, before)
    weights = [param.detach().numpy().copy() for param in params]
    ours = row.make(weights)
    ours.from_torch_state_dict(theirs.state_dict())
    run(ours, after)
    run_torch(params, theirs, after)
    assert_same_weights(weights, params)


def test_sparse_adam_goes_to_torch_and_comes_back() -> None:
    rng = np.random.default_rng(3)
    steps = [(rng.integers(0, 6, 4), rng.normal(size=(4, 5))) for _ in range(30)]
    (w, _), (again, _) = start(), start()
    ours = fo.SparseAdam([w], lr=0.03, eps=1e-2)
    params, theirs = in_torch([w], "SparseAdam")

    def there(rows: np.ndarray, g: np.ndarray) -> None:
        params[0].grad = torch.sparse_coo_tensor(rows[np.newaxis], g, w.shape, check_invariants=False)
        theirs.step()

    for rows, g in steps[:10]:
        ours.step([fo.RowGrad(rows, g)])
    params[0].data[...] = torch.tensor(w)
    theirs.load_state_dict(ours.to_torch_state_dict())
    for rows, g in steps[10:20]:
        ours.step([fo.RowGrad(rows, g)])
        there(rows, g)
    assert_same_weights([w], params)
    back = fo.SparseAdam([again], lr=0.5)
    again[...] = params[0].detach().numpy()
    back.from_torch_state_dict(theirs.state_dict())
    for rows, g in steps[20:]:
        back.step([fo.RowGrad(rows, g)])
        there(rows, g)
    assert_same_weights([again], params)


def test_a_dict_of_no_steps_begins_anew() -> None:
    ours = fo.Adam(start())
    fresh = ours.to_torch_state_dict()
    run(ours, gradients(1, 2))
    ours.from_torch_state_dict(fresh)
    assert ours.t == 0
    assert not any(array.any() for nest in ours.state.values() for array in nest)


def test_groups_schedules_and_maximize() -> None:
    a, b = start()
    rate = fo.schedules.exponential(1.0, 0.5)
    ours = fo.Adam([{"params": b, "lr": 0.5}, {"params": a}], lr=rate, maximize=True)
    ours.step([np.ones_like(b), np.ones_like(a)])
    first, second = ours.to_torch_state_dict()["param_groups"]
    assert (first["lr"], second["lr"], second["maximize"]) == (0.5, rate(2), True)
    assert (first["params"], second["params"]) == ([0], [1])


def test_what_torch_has_not() -> None:
    with pytest.raises(TypeError, match="nothing like LAMB"):
        fo.LAMB(start()).to_torch_state_dict()
    with pytest.raises(ValueError, match="eps_root"):
        fo.Adam(start(), eps_root=1e-6).to_torch_state_dict()
    with pytest.raises(ValueError, match="no maximize"):
        fo.Muon(start(MATRIX), maximize=True).to_torch_state_dict()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (setting("state", 1, "step", to=torch.tensor(7.0)), "steps"),
        (setting("state", 0, "exp_avg", to=torch.zeros(3)), "shape"),
        (setting("param_groups", 0, "params", to=[0]), "groups"),
        (setting("param_groups", 0, "amsgrad", to=True), "amsgrad"),
        (setting("param_groups", 0, "maximize", to=True), "maximize"),
        (setting("param_groups", 0, "betas", to=(0.9, 1.5)), "beta2"),
    ],
)
def test_a_bad_dict_changes_nothing(spoil: Any, said: str) -> None:
    ours = fo.Adam(start())
    run(ours, gradients(1, 2))
    saved = spoil(ours.to_torch_state_dict())
    with unchanged(ours), pytest.raises((TypeError, ValueError), match=said):
        ours.from_torch_state_dict(saved)
