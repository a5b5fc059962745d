"""State dicts that go to torch and come back: training goes on there, or here, along the same path."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.saved.torch_state import COUNTERPARTS, counterpart

from ..cases import CASES, MATRIX_CASES, Case
from ..changes import setting, without
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
    absent = COUNTERPARTS[case.rule].absent | {"eps_before_correction": False}
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
    back = fo.SparseAdam([again], lr=0.03, eps=1e-2)
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


def stepped_in_torch(name: str) -> dict[str, Any]:
    """A state dict of a matrix."""
    param = torch.ones(4, 5, requires_grad=True)
    optimizer = getattr(torch.optim, name)([param], **{"momentum": 0.5} if name == "SGD" else {})
    param.grad = torch.ones(4, 5).to_sparse() if name == "SparseAdam" else torch.ones(4, 5)
    optimizer.step()
    return dict(optimizer.state_dict())


@pytest.mark.parametrize("row", [*EXCHANGED, Case(fo.SparseAdam)], ids=str)
def test_a_dict_of_another_class_is_refused(row: Case) -> None:
    ours = row.make([np.ones((4, 5))])
    own = counterpart(ours).name
    for name in {other.name for other in COUNTERPARTS.values()} - {own}:
        with unchanged(ours), pytest.raises(ValueError, match=r"^torch's state"):
            ours.from_torch_state_dict(stepped_in_torch(name))


@pytest.mark.parametrize(("theirs", "ours"), [("AdamW", fo.Adam), ("Adam", fo.AdamW)])
def test_decoupled_decay_is_not_taken_for_the_other(theirs: str, ours: Any) -> None:
    saved = stepped_in_torch(theirs)
    optimizer = ours([np.ones((4, 5))], weight_decay=saved["param_groups"][0]["weight_decay"])
    said = f"decoupled_weight_decay={theirs == 'AdamW'}, where {ours.__name__} has {theirs != 'AdamW'}"
    with unchanged(optimizer), pytest.raises(ValueError, match=said):
        optimizer.from_torch_state_dict(saved)
    del saved["param_groups"][0]["decoupled_weight_decay"]  # of before torch 2.7
    optimizer.from_torch_state_dict(saved)
    assert optimizer.t == 1


@pytest.mark.parametrize("row", [case for case in EXCHANGED if case not in MATRIX_CASES], ids=str)
@pytest.mark.parametrize("last", [False, True])
def test_a_parameter_without_a_state(row: Case, last: bool) -> None:
    """One that is frozen, or was not used yet, whichever of the two: the other goes on."""
    steps = gradients(1, 8)
    params, theirs = in_torch(start(), COUNTERPARTS[row.rule].name)
    theirs.load_state_dict(row.make(start()).to_torch_state_dict())
    params[last].requires_grad_(False)
    used, still = params[not last], params[last].detach().numpy().copy()

    def run_one(steps: list[list[np.ndarray]]) -> None:
        for grads in steps:
            used.grad = torch.tensor(grads[not last])
            theirs.step()

    run_one(steps[:5])
    weights = [param.detach().numpy().copy() for param in params]
    ours = row.make(weights)
    ours.freeze(int(last))
    ours.from_torch_state_dict(theirs.state_dict())
    if COUNTERPARTS[row.rule].counts:
        assert ours.t == 5
    run(ours, steps[5:])
    run_one(steps[5:])
    np.testing.assert_allclose(weights[not last], used.detach().numpy(), rtol=1e-10)
    assert weights[last].tobytes() == still.tobytes()


def test_what_torch_does_not_have() -> None:
    """A sum of gradients is given up, and an average begins at the weights."""
    ours, weights = fo.Adam(start()), start()
    run(ours, gradients(1, 3))
    other = fo.Adam(weights, accumulate=2, ema=0.5)
    run(other, gradients(2, 3))
    assert other.accumulated == 1
    with pytest.warns(UserWarning, match="^the average of the weights begins anew, for none was saved$"):
        other.from_torch_state_dict(ours.to_torch_state_dict())
    assert other.t == 3 and other.accumulated == 0
    assert not any(array.any() for array in other.state["grad_sum"])
    assert all(np.array_equal(average, w) for average, w in zip(other.ema_params, weights, strict=True))


def test_whose_hyper_parameters_count() -> None:
    theirs = fo.Adam(start(), lr=0.5, betas=(0.5, 0.75))
    run(theirs, gradients(1, 1))
    saved, ours = theirs.to_torch_state_dict(), fo.Adam(start(), lr=0.25)
    with pytest.warns(UserWarning, match=r"of the program replace.*lr is 0\.5 in the saved, 0\.25 in the program"):
        ours.from_torch_state_dict(saved, hyper="program")
    assert (ours.lr, ours.t) == (0.25, 1)
    with pytest.warns(UserWarning, match="the saved hyper-parameters replace"):
        ours.from_torch_state_dict(saved)
    assert (ours.lr, ours.groups[0].betas) == (0.5, (0.5, 0.75))


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
        (setting("state", 0, "exp_avg", to=torch.zeros(3)), "shape"),
        (setting("param_groups", 0, "params", to=[0]), "groups"),
        (setting("param_groups", 0, "amsgrad", to=True), "amsgrad"),
        (setting("param_groups", 0, "maximize", to=True), "maximize"),
        (setting("param_groups", 0, "betas", to=(0.9, 1.5)), "beta2"),
        (without("param_groups", 0, "betas"), "betas"),
        (without("param_groups", 0, "params"), "groups"),
        (setting("param_groups", to=[1]), "groups"),
        (setting("param_groups", 0, "params", to=[[0], [1]]), "unhashable"),
        (setting("state", to=[1]), "groups"),
        (setting("state", 0, to=7), "groups"),
        (setting("state", 0, "step", to=torch.tensor(1.5)), "steps"),
        (setting("state", 0, "step", to=torch.tensor(np.inf)), "steps"),
        (setting("state", 0, "step", to=torch.ones(2)), "."),
        (without("state", 1, "step"), "step"),
        (without("state", 1, "exp_avg_sq"), "exp_avg_sq"),
        (setting("state", 1, "max_exp_avg_sq", to=torch.ones(7)), "max_exp_avg_sq"),
    ],
)
def test_a_bad_dict_changes_nothing(spoil: Any, said: str) -> None:
    ours = fo.Adam(start())
    run(ours, gradients(1, 2))
    saved = spoil(ours.to_torch_state_dict())
    with unchanged(ours), pytest.raises((TypeError, ValueError), match=said):
        ours.from_torch_state_dict(saved)
