"""The classes of torch.optim against their for-loops in torch, over the tables of the torch that is installed."""

import math
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("expecttest", reason="expecttest, which torch's tables need, is not installed")

from torch.testing._internal import common_optimizers as tables

import fusedoptim.torch as ft

INFOS = [info for info in tables.optim_db if info.optim_cls.__name__ in ft.__all__]
PAIR = {"Muon": [(3, 2), (4, 4)]}  # which takes matrices alone
SHAPES = [(3, 2), (5,), (), (2, 3, 2)]
# of float32, torch's own
TOLERANCE = {torch.float64: {"rtol": 1e-10, "atol": 1e-10}, torch.float32: {}}
STEPS = 6


def tolerance(info: Any, kwargs: dict[str, Any], dtype: Any) -> dict[str, float]:
    """torch's Muon computes with a rate that is a tensor in its precision, here float32."""
    of_tensor = name_of(info) == "Muon" and isinstance(kwargs.get("lr"), torch.Tensor)
    return {"rtol": 1e-7, "atol": 1e-7} if of_tensor and dtype is torch.float64 else TOLERANCE[dtype]


def name_of(info: Any) -> str:
    return str(info.optim_cls.__name__)


def inputs(info: Any) -> Iterator[Any]:
    """The configurations that a step on the CPU has."""
    for each in info.optim_inputs_func(device="cpu"):
        if not (each.kwargs.get("capturable") or each.kwargs.get("differentiable")):
            yield each


CASES = [
    pytest.param(info, each.kwargs, id=f"{name_of(info)}-{each.desc}".replace(" ", "_"))
    for info in INFOS
    for each in inputs(info)
]
DENSE = [case for case in CASES if not case.values[0].only_supports_sparse_grads]


def parameters(info: Any, dtype: Any) -> list[Any]:
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in PAIR.get(name_of(info), SHAPES)]


def of_torch(info: Any, params: list[Any], kwargs: dict[str, Any]) -> Any:
    """In the for-loop, where there is a choice."""
    loop = {"foreach": False} if "foreach" in info.supported_impls and name_of(info) != "SparseAdam" else {}
    return info.optim_cls(params, **_own(kwargs), **loop)


def ours(info: Any, params: list[Any], kwargs: dict[str, Any]) -> Any:
    return getattr(ft, name_of(info))(params, **_own(kwargs))


def _own(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: each.clone() if isinstance(each, torch.Tensor) else each for name, each in kwargs.items()}


def set_grads(params: list[Any], t: int) -> None:
    """New ones; in two steps that of the second is missing, as in a frozen layer, and in one all are."""
    generator = torch.Generator().manual_seed(t)
    for k, param in enumerate(params):
        grad = torch.randn(param.shape, dtype=param.dtype, generator=generator)
        param.grad = None if t == 4 or (k == 1 and t in (1, 2)) else grad


@pytest.mark.parametrize("numbers", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize(("info", "kwargs"), DENSE)
def test_as_the_for_loop(info: Any, kwargs: dict[str, Any], numbers: Any) -> None:
    theirs, own = parameters(info, numbers), parameters(info, numbers)
    loop, opt = of_torch(info, theirs, kwargs), ours(info, own, kwargs)
    close = tolerance(info, kwargs, numbers)
    for t in range(STEPS):
        set_grads(theirs, t)
        set_grads(own, t)
        loop.step()
        opt.step()
        for a, b in zip(own, theirs, strict=True):
            torch.testing.assert_close(a, b, **close)
    for a, b in zip(own, theirs, strict=True):
        assert set(opt.state[a]) == set(loop.state[b])
        for name, state in loop.state[b].items():
            torch.testing.assert_close(torch.as_tensor(opt.state[a][name]), torch.as_tensor(state), **close)


@pytest.mark.parametrize(("info", "kwargs"), [case for case in DENSE if case.values[0].supports_complex])
def test_complex(info: Any, kwargs: dict[str, Any]) -> None:
    theirs, own = parameters(info, torch.complex128), parameters(info, torch.complex128)
    loop, opt = of_torch(info, theirs, kwargs), ours(info, own, kwargs)
    for t in range(STEPS):
        set_grads(theirs, t)
        set_grads(own, t)
        loop.step()
        opt.step()
    for a, b in zip(own, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("info", "kwargs"), [case for case in CASES if case.values[0].supports_sparse])
def test_sparse(info: Any, kwargs: dict[str, Any]) -> None:
    torch.manual_seed(0)
    theirs, own = [torch.nn.Parameter(torch.ones(5, 2, dtype=torch.float64)) for _ in range(2)]
    loop, opt = of_torch(info, [theirs], kwargs), ours(info, [own], kwargs)
    for t in range(STEPS):
        generator = torch.Generator().manual_seed(t)
        rows = torch.tensor([[0, 3, 0, (t + 1) % 5]])
        values = torch.randn(4, 2, dtype=torch.float64, generator=generator)
        for param in (theirs, own):
            param.grad = torch.sparse_coo_tensor(rows, values, (5, 2), check_invariants=True)
        with torch.sparse.check_sparse_tensor_invariants():
            if kwargs.get("weight_decay", 0) != 0 or kwargs.get("momentum", 0) != 0:
                with pytest.raises(RuntimeError, match=r"not compatible with sparse|takes no sparse gradient"):
                    opt.step()
                return
            loop.step()
            opt.step()
    # torch's SparseAdam computes with a rate in float32, where that is a tensor
    exact = not isinstance(kwargs.get("lr"), torch.Tensor)
    tolerance = {"rtol": 1e-10, "atol": 1e-10} if exact else {"rtol": 1e-7, "atol": 1e-9}
    torch.testing.assert_close(own, theirs, **tolerance)


ERRORS = [
    pytest.param(info, each, id=f"{name_of(info)}-{each.optimizer_error_input.desc}".replace(" ", "_"))
    for info in INFOS
    for each in info.optim_error_inputs_func(device="cpu", dtype=torch.float32)
]


@pytest.mark.parametrize(("info", "error"), ERRORS)
def test_errors_are_torchs(info: Any, error: Any) -> None:
    given = error.optimizer_error_input
    if given.kwargs.get("capturable") or given.kwargs.get("differentiable"):
        pytest.skip("refused in our words")
    params = parameters(info, torch.float32) if given.params is None else given.params
    if error.error_on is tables.OptimizerErrorEnum.CONSTRUCTION_ERROR:
        if issubclass(error.error_type, Warning):
            with pytest.warns(error.error_type, match=error.error_regex):
                ours(info, params, given.kwargs)
        else:
            with pytest.raises(error.error_type, match=error.error_regex):
                ours(info, params, given.kwargs)
    else:
        opt = ours(info, params, given.kwargs)
        with pytest.raises(error.error_type, match=error.error_regex):
            opt.step()


@pytest.mark.parametrize(("info", "kwargs"), DENSE)
def test_state_dicts_go_to_torch_and_back_with_the_same_bits(info: Any, kwargs: dict[str, Any]) -> None:
    params = parameters(info, torch.float32)
    opt = ours(info, params, kwargs)
    for t in range(3):
        set_grads(params, t)
        opt.step()
    theirs = of_torch(info, params, kwargs)
    theirs.load_state_dict(opt.state_dict())
    again = ours(info, params, kwargs)
    again.load_state_dict(theirs.state_dict())
    for param in params:
        assert set(again.state[param]) == set(opt.state[param])
        for name, state in opt.state[param].items():
            assert torch.equal(again.state[param][name], state)
    assert [{**group, "foreach": None} for group in again.state_dict()["param_groups"]] == [
        {**group, "foreach": None} for group in opt.state_dict()["param_groups"]
    ]


@pytest.mark.parametrize(("info", "kwargs"), DENSE)
def test_resumed_is_uninterrupted(info: Any, kwargs: dict[str, Any]) -> None:
    straight, params = parameters(info, torch.float32), parameters(info, torch.float32)
    whole, opt = ours(info, straight, kwargs), ours(info, params, kwargs)
    for t in range(STEPS):
        if t == 3:
            saved = opt.state_dict()
            opt = ours(info, params, kwargs)
            opt.load_state_dict(saved)
        for each, own in ((whole, straight), (opt, params)):
            set_grads(own, t)
            each.step()
    for a, b in zip(params, straight, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(("info", "kwargs"), CASES)
def test_goes_down_with_schedulers(info: Any, kwargs: dict[str, Any]) -> None:
    """On a quadratic with matrices for Muon, and with all schedulers of the table."""
    for makers in info.scheduler_inputs:
        torch.manual_seed(0)
        param = torch.nn.Parameter(torch.randn(4, 3, dtype=torch.float64))
        opt = ours(info, [param], {"lr": 0.01} | kwargs)
        sign = -1.0 if kwargs.get("maximize") else 1.0
        schedulers = [make(opt) for make in makers]
        losses = []
        for _ in range(20):
            opt.zero_grad()
            loss = sign * param.square().sum()
            loss.backward()
            if info.only_supports_sparse_grads:
                param.grad = param.grad.to_sparse(1)
            opt.step()
            losses.append(loss.item() * sign)
            for scheduler in schedulers:
                if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
                    scheduler.step(loss.detach())
                else:
                    scheduler.step()
        assert losses[-1] < losses[0] and math.isfinite(losses[-1])


@pytest.mark.parametrize("flag", ["capturable", "differentiable"])
@pytest.mark.parametrize("info", INFOS, ids=name_of)
def test_flags_are_refused(info: Any, flag: str) -> None:
    params = parameters(info, torch.float32)
    if flag not in info.optim_cls(params).defaults:
        pytest.skip(f"{name_of(info)} has no {flag}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that capturable is slow where it has no use
        with pytest.raises(ValueError, match=f"^{flag}=True is not supported, .*torch.optim"):
            ours(info, params, {flag: True})
    opt = ours(info, params, {})
    set_grads(params, 0)
    opt.step()
    before = [param.clone() for param in params]
    opt.param_groups[0][flag] = True
    with pytest.raises(ValueError, match=f"^{flag}=True is not supported"):
        opt.step()
    assert all(torch.equal(a, b) for a, b in zip(params, before, strict=True))
