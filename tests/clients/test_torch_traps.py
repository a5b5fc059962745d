"""Where a step over the memory of tensors, without a copy and past autograd, can go wrong."""

import copy
import io
import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim import _core

torch = pytest.importorskip("torch", reason="torch is not installed")

from torch.optim.optimizer import register_optimizer_step_post_hook

import fusedoptim.torch as ft
from fusedoptim.torch import memory


def some(*shapes: tuple[int, ...], dtype: Any = torch.float32, seed: int = 0) -> list[Any]:
    torch.manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in shapes]


def set_grads(params: list[Any], t: int) -> None:
    generator = torch.Generator().manual_seed(t)
    for param in params:
        param.grad = torch.randn(param.shape, dtype=param.dtype, generator=generator)


def pair(*shapes: tuple[int, ...], dtype: Any = torch.float64, **kwargs: Any) -> tuple[list[Any], Any, list[Any], Any]:
    """Ours and torch's AdamW over the same parameters."""
    own, theirs = some(*shapes, dtype=dtype), some(*shapes, dtype=dtype)
    return own, ft.AdamW(own, **kwargs), theirs, torch.optim.AdamW(theirs, foreach=False, **kwargs)


def assert_same(own: list[Any], theirs: list[Any]) -> None:
    for a, b in zip(own, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


# -- autograd ----------------------------------------------------------------------------------------------------------


def test_a_graph_that_saved_the_weight_is_refused() -> None:
    (w,) = some((3,))
    opt = ft.SGD([w], lr=0.1)
    loss = (w * w).sum()
    w.grad = torch.ones(3)
    opt.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_storages_can_still_be_resized() -> None:
    params = some((3, 2), (4,))
    opt = ft.AdamW(params, clip_norm=1.0)
    for t in range(3):
        set_grads(params, t)
        opt.step()
    assert all(param.untyped_storage().resizable() for param in params)


def test_a_compiled_step_counts() -> None:
    own, opt, theirs, loop = pair((3, 2))
    step = torch.compile(opt.step, backend="eager")
    for t in range(4):
        for params in (own, theirs):
            set_grads(params, t)
        step()
        loop.step()
    assert int(opt.state[own[0]]["step"]) == 4
    assert_same(own, theirs)


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # the compiler looks at it
def test_a_compiled_training_step_counts() -> None:
    own, opt, theirs, loop = pair((3, 2))

    @torch.compile(backend="eager")
    def train(x: Any) -> Any:
        opt.zero_grad()
        loss = (own[0] * x).square().sum()
        loss.backward()
        opt.step()
        return loss

    for t in range(3):
        x = torch.full((3, 2), float(t + 1), dtype=torch.float64)
        train(x)
        loop.zero_grad()
        (theirs[0] * x).square().sum().backward()
        loop.step()
    assert int(opt.state[own[0]]["step"]) == 3
    assert_same(own, theirs)


def test_inference_mode() -> None:
    own, opt, theirs, loop = pair((3, 2))
    for t in range(3):
        for params in (own, theirs):
            set_grads(params, t)
        with torch.inference_mode(t == 1):
            opt.step()
        loop.step()
    assert_same(own, theirs)
    with torch.inference_mode():
        (w,) = some((3,))
        w.grad = torch.ones(3)
        before = w.clone()
        ft.SGD([w], lr=1.0).step()
        assert torch.equal(w, before - 1)


def test_a_step_within_backward() -> None:
    own, theirs = some((3, 2), (2,)), some((3, 2), (2,))
    opts = {param: ft.AdamW([param]) for param in own}

    def step(param: Any) -> None:
        opts[param].step()
        opts[param].zero_grad()

    for param in own:
        param.register_post_accumulate_grad_hook(step)
    loop = torch.optim.AdamW(theirs, foreach=False)
    x = torch.ones(5, 3)
    for _ in range(3):
        (x @ own[0] + own[1]).square().sum().backward()
        loop.zero_grad()
        (x @ theirs[0] + theirs[1]).square().sum().backward()
        loop.step()
    for a, b in zip(own, theirs, strict=True):
        torch.testing.assert_close(a, b)
        assert a.grad is None


# -- gradients ---------------------------------------------------------------------------------------------------------


def test_parameters_come_and_go() -> None:
    """A frozen layer, one that comes back, and a step without any gradient; the plan of each set is kept."""
    own, opt, theirs, loop = pair((3, 2), (4,), (2, 2))
    sets = [(0, 1, 2), (0, 2), (0, 1, 2), (1,), (), (0, 2), (0, 1, 2)]
    for t, chosen in enumerate(sets):
        for params in (own, theirs):
            set_grads(params, t)
            for k, param in enumerate(params):
                if k not in chosen:
                    param.grad = None
        opt.step()
        loop.step()
        assert_same(own, theirs)
    assert [int(opt.state[param]["step"]) for param in own] == [5, 4, 5]
    assert len(opt._bindings) == 3
    bindings = dict(opt._bindings)
    for t, chosen in enumerate(sets):
        set_grads([own[k] for k in chosen], t)
        for k, param in enumerate(own):
            if k not in chosen:
                param.grad = None
        opt.step()
    assert opt._bindings == bindings


def gradients() -> Iterator[Any]:
    yield pytest.param(lambda g: g, id="plain")
    yield pytest.param(lambda g: g[:1, :1].expand(4, 3), id="expanded")
    yield pytest.param(lambda g: g.t().contiguous().t(), id="other strides")
    yield pytest.param(lambda g: torch.complex(g, -g).conj().imag, id="of a conjugate")
    yield pytest.param(lambda g: torch._neg_view(-g), id="negated lazily")


@pytest.mark.parametrize("make", list(gradients()))
def test_gradients_that_lie_otherwise(make: Any) -> None:
    own, opt, theirs, loop = pair((4, 3))
    for t in range(3):
        torch.manual_seed(t)
        grad = make(torch.randn(4, 3, dtype=torch.float64))
        own[0].grad, theirs[0].grad = grad, grad.clone()
        if grad.is_neg() and grad.stride() == (3, 1):  # DLPack does not tell; autograd makes no such gradients
            own[0].grad = grad.resolve_neg()
        opt.step()
        loop.step()
    assert_same(own, theirs)


@pytest.mark.parametrize("numbers", [torch.float64, torch.bfloat16, torch.float16])
def test_gradients_of_another_dtype(numbers: Any) -> None:
    (w,), (v,) = some((4, 3)), some((4, 3))
    if not hasattr(w, "grad_dtype"):
        pytest.skip("torch before 2.10 has no grad_dtype")
    w.grad_dtype = numbers
    opt, loop = ft.AdamW([w], lr=0.1), ft.AdamW([v], lr=0.1)
    for t in range(3):
        set_grads([v], t)
        w.grad = v.grad.to(numbers)
        v.grad = w.grad.float()
        opt.step()
        loop.step()
    assert torch.equal(w, v)


def test_one_gradient_for_two() -> None:
    own, opt, theirs, loop = pair((3,), (3,))
    grad = torch.ones(3, dtype=torch.float64)
    for param in own:
        param.grad = grad
    set_to = [grad.clone(), grad.clone()]
    for param, each in zip(theirs, set_to, strict=True):
        param.grad = each
    opt.step()
    loop.step()
    assert_same(own, theirs)


def test_a_sparse_gradient_with_momentum_is_refused() -> None:
    table = torch.nn.Embedding(5, 2, sparse=True)
    opt = ft.SGD(table.parameters(), lr=0.1, momentum=0.9)
    with torch.sparse.check_sparse_tensor_invariants():
        table(torch.tensor([1, 3, 1])).sum().backward()
    before = table.weight.clone()
    with pytest.raises(RuntimeError, match=r"SGD with momentum takes no sparse gradient here.*Set momentum=0"):
        opt.step()
    assert torch.equal(table.weight, before)


def test_sparse_and_dense_side_by_side() -> None:
    table = torch.nn.Embedding(6, 2, sparse=True)
    bias = torch.nn.Parameter(torch.zeros(2))
    own = [table.weight, bias]
    theirs = [torch.nn.Parameter(param.detach().clone()) for param in own]
    opt, loop = ft.Adagrad(own, lr=0.1), torch.optim.Adagrad(theirs, lr=0.1, foreach=False)
    for k in range(3):
        opt.zero_grad()
        with torch.sparse.check_sparse_tensor_invariants():
            (table(torch.tensor([1, k, 1])) + bias).square().sum().backward()
        for a, b in zip(own, theirs, strict=True):
            b.grad = a.grad.clone()
        opt.step()
        loop.step()
    for a, b in zip(own, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_the_gradient_that_is_the_weight_is_refused() -> None:
    (w,) = some((3,))
    w.grad = w.detach()
    before = w.clone()
    with pytest.raises(ValueError, match=r"grads\[0\] and params\[0\] share memory"):
        ft.SGD([w], lr=0.1).step()
    assert torch.equal(w, before)


# -- parameters --------------------------------------------------------------------------------------------------------


def test_overlapping_parameters_are_refused() -> None:
    flat = torch.zeros(4)
    params = [torch.nn.Parameter(flat[:3]), torch.nn.Parameter(flat[1:])]
    for param in params:
        param.grad = torch.ones(3)
    with pytest.raises(ValueError, match=r"params\[1\] and params\[0\] share memory"):
        ft.SGD(params, lr=0.1).step()
    assert torch.equal(flat, torch.zeros(4))
    (w,) = some((3,))
    w.grad = torch.ones(3)
    with pytest.warns(UserWarning, match="duplicate parameters"):
        opt = ft.SGD([w, w], lr=0.1)
    with pytest.raises(ValueError, match=r"share memory"):
        opt.step()


def test_tied_parameters_are_one() -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    model[1].weight = model[0].weight
    opt = ft.AdamW(model.parameters())
    model(torch.ones(2, 3)).sum().backward()
    opt.step()
    assert len(opt.state) == 3


def strided() -> Iterator[Any]:
    yield pytest.param(lambda t: t.to(memory_format=torch.channels_last), True, id="channels last")
    yield pytest.param(lambda t: t.permute(3, 1, 0, 2), True, id="permuted")
    yield pytest.param(lambda t: torch.stack([t, t], -1)[..., 0], False, id="every other")


@pytest.mark.parametrize("name", ["AdamW", "LAMB", "Adafactor"])
@pytest.mark.parametrize(("make", "dense"), list(strided()))
def test_any_strides(make: Any, dense: bool, name: str) -> None:
    torch.manual_seed(0)
    start = make(torch.randn(2, 3, 4, 5))
    own, straight = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone().contiguous())
    if not dense:
        own = torch.nn.Parameter(make(start.clone().contiguous()))
    opt, other = getattr(ft, name)([own], lr=0.1), getattr(ft, name)([straight], lr=0.1)
    for t in range(3):
        torch.manual_seed(t)
        grad = torch.randn(own.shape)
        own.grad = grad.clone() if not dense else torch.empty_like(own).copy_(grad)
        straight.grad = grad
        opt.step()
        other.step()
    assert torch.equal(own, straight)
    if dense and name == "AdamW":
        (part,) = opt._binding._parts
        assert not part._stand_ins
        assert opt.state[own]["exp_avg"].stride() == own.stride()


def test_parameters_that_move() -> None:
    own, opt, theirs, loop = pair((3, 2), (4,))
    for t in range(4):
        if t == 1:
            for params in (own, theirs):
                params[0].data = params[0].data.clone() + 1
        if t == 2:
            for params in (own, theirs):
                other = torch.nn.Parameter(torch.full((4,), 2.0, dtype=torch.float64))
                torch.utils.swap_tensors(params[1], other)
        if t == 3:
            for params in (own, theirs):
                params[0].data = params[0].data.t().contiguous().t()
        for params in (own, theirs):
            set_grads(params, t)
        opt.step()
        loop.step()
        assert_same(own, theirs)


def test_tensors_of_another_device_are_refused() -> None:
    w = torch.nn.Parameter(torch.ones(3, device="meta"))
    w.grad = torch.ones(3, device="meta")
    opt = ft.AdamW([w])
    with pytest.raises(ValueError, match=r"params\[0\] is on meta, .*fusedoptim\.torch\.Offload"):
        opt.step()


def test_parameters_without_elements() -> None:
    own, opt, theirs, loop = pair((0, 3), (2,))
    for t in range(3):
        for params in (own, theirs):
            set_grads(params, t)
        opt.step()
        loop.step()
    assert_same(own, theirs)
    assert int(opt.state[own[0]]["step"]) == 3 and len(opt._bindings) == 1


@pytest.mark.parametrize("name", ["NAdam", "ScheduleFreeAdamW"])
def test_a_step_that_is_not_taken_carries_nothing_on(name: str) -> None:
    own, straight = some((3,)), some((3,))
    opt, other = [getattr(ft, name)(params, nonfinite="skip") for params in (own, straight)]
    for t in range(3):
        for params in (own, straight):
            set_grads(params, t)
        if t == 1:
            kept = own[0].grad.clone()
            own[0].grad.fill_(torch.nan)
            opt.step()
            own[0].grad.copy_(kept)
        opt.step()
        other.step()
    assert torch.equal(own[0], straight[0])


def test_dtypes_that_no_step_takes_are_refused() -> None:
    w = torch.nn.Parameter(torch.ones(3).to(torch.float8_e4m3fn), requires_grad=False)
    w.grad = torch.ones(3).to(torch.float8_e4m3fn)
    with pytest.raises(TypeError, match=r"params\[0\] must be of float32, .*, got torch.float8_e4m3fn"):
        ft.SGD([w], lr=0.1).step()


# -- groups and numbers ------------------------------------------------------------------------------------------------


def test_groups_of_different_rules_and_directions() -> None:
    own, theirs = some((3, 2), (4,), (2,), dtype=torch.float64), some((3, 2), (4,), (2,), dtype=torch.float64)
    opts = [
        kind(
            [
                {"params": params[:1], "momentum": 0.9, "dampening": 0.1},
                {"params": params[1:2], "maximize": True, "weight_decay": 0.1},
                {"params": params[2:], "momentum": 0.9, "nesterov": True, "lr": 0.5},
            ],
            lr=0.1,
            **own,
        )
        for params, kind, own in ((own, ft.SGD, {}), (theirs, torch.optim.SGD, {"foreach": False}))
    ]
    for t in range(4):
        for params, opt in zip((own, theirs), opts, strict=True):
            set_grads(params, t)
            if t == 2:
                opt.param_groups[1]["momentum"] = 0.5
            opt.step()
        assert_same(own, theirs)


@pytest.mark.parametrize("different", [False, True], ids=["one rule", "two rules"])
def test_the_norm_is_that_of_all_groups(different: bool) -> None:
    own, theirs = some((3, 2), (4,), dtype=torch.float64), some((3, 2), (4,), dtype=torch.float64)
    groups = [[{"params": [w]}, {"params": [v], "momentum": 0.9 * different}] for w, v in (own, theirs)]
    opt, loop = ft.SGD(groups[0], lr=0.1, clip_norm=0.5), torch.optim.SGD(groups[1], lr=0.1, foreach=False)
    for t in range(3):
        for params in (own, theirs):
            set_grads(params, t)
        norm = torch.nn.utils.clip_grad_norm_(theirs, 0.5)
        opt.step()
        loop.step()
        assert opt.last_grad_norm == pytest.approx(float(norm), rel=1e-12)
    for a, b in zip(own, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("different", [False, True], ids=["one rule", "two rules"])
def test_steps_that_are_not_taken(different: bool) -> None:
    for what in ("skip", "raise"):
        own = some((3, 2), (4,))
        groups = [{"params": own[:1]}, {"params": own[1:], "amsgrad": different}]
        opt = ft.AdamW(groups, nonfinite=what)
        set_grads(own, 0)
        opt.step()
        before = [param.clone() for param in own]
        own[1].grad = torch.full((4,), torch.inf)
        if what == "skip":
            opt.step()
        else:
            with pytest.raises(FloatingPointError):
                opt.step()
        assert opt.skipped == 1 and int(opt.state[own[0]]["step"]) == 1
        assert all(torch.equal(a, b) for a, b in zip(own, before, strict=True))


def test_values_are_clipped_and_weights_averaged() -> None:
    own, straight = some((3, 2)), some((3, 2))
    opt, other = ft.SGD(own, lr=0.1, clip_value=0.1, ema=0.5), ft.SGD(straight, lr=0.1)
    w = own[0].detach().clone().numpy()
    array = fo.SGD(w, lr=0.1, clip_value=0.1, ema=0.5)
    with opt.using_ema():  # no step has begun one
        assert np.array_equal(own[0].detach().numpy(), w)
    for t in range(3):
        for params in (own, straight):
            set_grads(params, t)
        straight[0].grad.clamp_(-0.1, 0.1)
        array.step(own[0].grad.numpy())
        opt.step()
        other.step()
    assert torch.equal(own[0], straight[0])
    with opt.using_ema():
        assert np.array_equal(own[0].detach().numpy(), array.ema_params)
    assert np.array_equal(own[0].detach().numpy(), w)
    with pytest.raises(AttributeError, match="make it with ema"), other.using_ema():
        pass


def test_numbers_are_as_wide_as_torchs() -> None:
    made = [
        ("SGD", {"momentum": 1.5, "dampening": -0.5}),
        ("SGD", {"momentum": 0.9, "dampening": 2.0}),
        ("Rprop", {"step_sizes": (0.0, 50.0)}),
        ("AdamW", {"weight_decay": -0.1}),
        ("SGD", {"weight_decay": -0.1}),
    ]
    for name, kwargs in made:
        own, theirs = some((3, 2), dtype=torch.float64), some((3, 2), dtype=torch.float64)
        later = {"weight_decay": kwargs.pop("weight_decay")} if "weight_decay" in kwargs else {}
        opts = [
            getattr(ft, name)(own, lr=0.1, **kwargs),
            getattr(torch.optim, name)(theirs, lr=0.1, foreach=False, **kwargs),
        ]
        for t in range(4):
            for params, opt in zip((own, theirs), opts, strict=True):
                set_grads(params, t)
                opt.param_groups[0].update(later)
                opt.step()
        assert_same(own, theirs)


def test_numbers_that_are_none_are_refused() -> None:
    (w,) = some((3,))
    opt = ft.SGD([w], lr=0.1)
    w.grad, before = torch.ones(3), w.detach().clone()
    opt.param_groups[0]["lr"] = float("nan")
    with pytest.raises((TypeError, ValueError), match="lr must be a finite number, got nan"):
        opt.step()
    assert torch.equal(w, before)


def test_tensors_as_rates_may_change_in_place() -> None:
    lr = torch.tensor(0.1)
    own, theirs = some((3,)), some((3,))
    opt, loop = ft.SGD(own, lr=lr), torch.optim.SGD(theirs, lr=0.1, foreach=False)
    for t in range(3):
        for params in (own, theirs):
            set_grads(params, t)
        opt.step()
        loop.step()
        lr.mul_(0.5)
        loop.param_groups[0]["lr"] *= 0.5
    torch.testing.assert_close(own[0], theirs[0])


# -- states ------------------------------------------------------------------------------------------------------------


def test_states_replaced_by_others() -> None:
    own, opt, theirs, loop = pair((3, 2), (4,))
    for t in range(6):
        for params in (own, theirs):
            set_grads(params, t)
        for params, each in ((own, opt), (theirs, loop)):
            if t == 2:
                each.state[params[0]]["exp_avg"] = torch.full((3, 2), 0.5, dtype=torch.float64)
            if t == 3:
                each.state[params[0]]["step"].fill_(7.0)
            if t == 4:
                each.state[params[1]] = {}
            if t == 5:
                each.state[params[0]]["exp_avg_sq"].zero_()
        opt.step()
        loop.step()
        assert_same(own, theirs)


def test_a_loaded_state_is_a_copy() -> None:
    own, others = some((3, 2)), some((3, 2))
    opt, again = ft.AdamW(own), ft.AdamW(others)
    set_grads(own, 0)
    opt.step()
    again.load_state_dict(opt.state_dict())
    kept = again.state[others[0]]["exp_avg"].clone()
    opt.step()
    assert torch.equal(again.state[others[0]]["exp_avg"], kept)
    set_grads(others, 1)
    again.step()
    assert int(again.state[others[0]]["step"]) == 2 == int(opt.state[own[0]]["step"])


def test_the_state_of_another_model_is_refused() -> None:
    own, others = some((3, 2)), some((4,))
    opt, again = ft.AdamW(own), ft.AdamW(others)
    set_grads(own, 0)
    opt.step()
    again.load_state_dict(opt.state_dict())
    set_grads(others, 0)
    with pytest.raises(ValueError, match=r"must have the shape \(4,\), got \(3, 2\)"):
        again.step()


@pytest.mark.parametrize("how", ["deepcopy", "pickle", "torch.save"])
def test_copies(how: str) -> None:
    model = torch.nn.Linear(3, 2)
    opt = ft.SGD(model.parameters(), lr=0.1, momentum=0.9, dampening=0.5, clip_norm=0.5)

    def step(model: Any, opt: Any, t: int) -> None:
        opt.zero_grad()
        torch.manual_seed(t)
        model(torch.randn(4, 3)).square().sum().backward()
        opt.step()

    step(model, opt, 0)
    if how == "deepcopy":
        twin, again = copy.deepcopy((model, opt))
    elif how == "pickle":
        twin, again = pickle.loads(pickle.dumps((model, opt)))
    else:
        buffer = io.BytesIO()
        torch.save((model, opt), buffer)
        buffer.seek(0)
        twin, again = torch.load(buffer, weights_only=False)
    for t in (1, 2):
        step(model, opt, t)
        step(twin, again, t)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    assert again.last_grad_norm == opt.last_grad_norm is not None


def test_state_dicts_with_weights_only() -> None:
    own = some((3, 2))
    opt = ft.AdamW(own)
    set_grads(own, 0)
    opt.step()
    buffer = io.BytesIO()
    torch.save(opt.state_dict(), buffer)
    buffer.seek(0)
    again = ft.AdamW(own)
    again.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(again.state[own[0]]["exp_avg"], opt.state[own[0]]["exp_avg"])


def test_steps_are_counted_in_one_tensor() -> None:
    own = some((3, 2), (4,), (2,))
    opt = ft.AdamW(own)
    set_grads(own, 0)
    opt.step()
    steps = [opt.state[param]["step"] for param in own]
    assert len({step.untyped_storage().data_ptr() for step in steps}) == 1
    assert all(step.dtype is torch.float32 and step.shape == () and step == 1 for step in steps)


def test_parameters_that_come_later() -> None:
    own, opt, theirs, loop = pair((3, 2))
    late, also = some((4,), dtype=torch.float64), some((4,), dtype=torch.float64)
    for t in range(4):
        if t == 2:
            opt.add_param_group({"params": late, "lr": 0.1})
            loop.add_param_group({"params": also, "lr": 0.1})
        for params in (own, theirs, late, also):
            set_grads(params, t)
        opt.step()
        loop.step()
    assert_same([*own, *late], [*theirs, *also])
    assert int(opt.state[late[0]]["step"]) == 2


def test_a_refused_first_step_changes_nothing() -> None:
    """Not even what makes SGD's first step another one."""
    own, straight = some((3,)), some((3,))
    opt, other = [ft.SGD(params, lr=0.1, momentum=0.9, dampening=0.5) for params in (own, straight)]
    own[0].grad = own[0].detach()
    with pytest.raises(ValueError, match="share memory"):
        opt.step()
    for t in range(2):
        for params in (own, straight):
            set_grads(params, t)
        opt.step()
        other.step()
    assert torch.equal(own[0], straight[0])


# -- torch's machinery -------------------------------------------------------------------------------------------------


def test_hooks_and_profiler() -> None:
    own = some((3,))
    opt = ft.AdamW(own)
    seen: list[str] = []
    set_grads(own, 0)
    opt.step()
    handles = [
        opt.register_step_pre_hook(lambda *_: seen.append("before")),
        opt.register_step_post_hook(lambda *_: seen.append("after")),
        register_optimizer_step_post_hook(lambda *_: seen.append("everywhere")),
    ]
    opt.step()
    for handle in handles:
        handle.remove()
    opt.step()
    assert seen == ["before", "after", "everywhere"]
    with torch.autograd.profiler.profile() as profile:
        opt.step()
    assert "Optimizer.step#AdamW.step" in {event.name for event in profile.function_events}
    assert int(opt.state[own[0]]["step"]) == 4


def test_closures() -> None:
    own = some((3,))
    opt = ft.SGD(own, lr=0.1)

    def closure() -> Any:
        opt.zero_grad()
        loss = own[0].square().sum()
        loss.backward()
        return loss

    with torch.no_grad():
        first, second = opt.step(closure), opt.step(closure)
    assert second < first


@pytest.mark.parametrize("unscaled", [False, True])
def test_grad_scaler(unscaled: bool) -> None:
    own, opt, theirs, loop = pair((3, 2), lr=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=256.0, growth_interval=2)
    for t in range(5):
        generator = torch.Generator().manual_seed(t)
        x = torch.randn(3, 2, dtype=torch.float64, generator=generator)
        opt.zero_grad()
        loop.zero_grad()
        scaler.scale((own[0] * x).sum()).backward()
        (theirs[0] * x).sum().backward()
        if t == 2:
            own[0].grad[0, 0] = torch.inf
        if unscaled:
            scaler.unscale_(opt)
        scaler.step(opt)
        scaler.update()
        if t != 2:
            loop.step()
    assert int(opt.state[own[0]]["step"]) == 4
    assert_same(own, theirs)


def test_without_the_exchange_api() -> None:
    """As of torch before 2.10: addresses come from Python, and the bits are the same."""
    runs = []
    for exchange in (getattr(torch.Tensor, "__dlpack_c_exchange_api__", None), None):
        _core.know_torch(exchange, memory.CODES)
        try:
            own = some((3, 2), (4,), ())
            opt = ft.AdamW(own, clip_norm=1.0)
            for t in range(4):
                set_grads(own, t)
                if t == 2:
                    own[1].grad = None
                if t == 3:
                    own[0].data = own[0].data.clone()
                opt.step()
            table = some((4, 2))
            table[0].grad = torch.sparse_coo_tensor([[1]], torch.ones(1, 2), (4, 2), check_invariants=True)
            ft.Adagrad(table).step()
            runs.append([*own, *table])
        finally:
            _core.know_torch(getattr(torch.Tensor, "__dlpack_c_exchange_api__", None), memory.CODES)
    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))


def test_torch_is_imported_where_asked_for() -> None:
    import subprocess
    import sys

    code = "import sys, fusedoptim; assert 'torch' not in sys.modules; import fusedoptim.torch"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_step_of_another_thread_is_refused() -> None:
    own = some((3,))
    opt = ft.AdamW(own)
    set_grads(own, 0)
    with opt._turn.lock, pytest.raises(RuntimeError, match="another thread"):
        opt.step()


def test_optimizers_are_collected() -> None:
    import gc
    import weakref

    own = some((3,))
    opt = ft.AdamW(own)
    set_grads(own, 0)
    opt.step()
    seen = weakref.ref(opt)
    del opt
    gc.collect()
    assert seen() is None


def test_nothing_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        own = some((3, 2), (4,))
        opt = ft.NAdam(own, clip_norm=1.0, ema=0.9)
        for t in range(2):
            set_grads(own, t)
            opt.step()


@pytest.mark.parametrize("interrupted", [0, 1])
def test_rules_of_an_optimizer_step_together(interrupted: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two rules none has stepped where an interrupt came before the second."""
    from torch.autograd.graph import increment_version

    from fusedoptim.torch import part

    calls: list[int] = []

    def increment(params: list[Any]) -> None:
        calls.append(len(calls))
        if calls[-1] == 2 + interrupted:  # the first two are those of a step that is taken
            raise KeyboardInterrupt
        increment_version(params)

    monkeypatch.setattr(part, "increment_version", increment)
    own = some((3,), (2, 2))
    opt = ft.AdamW([{"params": own[:1]}, {"params": own[1:], "amsgrad": True}])
    set_grads(own, 0)
    opt.step()
    before = [param.detach().clone() for param in own]
    with pytest.raises(KeyboardInterrupt):
        opt.step()
    assert all(torch.equal(a, b) for a, b in zip(own, before, strict=True))
    assert [int(opt.state[param]["step"]) for param in own] == [1, 1]
    opt.step()
    assert [int(opt.state[param]["step"]) for param in own] == [2, 2]
