"""Offload, with "cpu" in the place of the device."""

import copy
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

import fusedoptim.torch as ft
from fusedoptim.torch import offload


@pytest.fixture(params=[1, 1 << 30], ids=["a bucket each", "one bucket"])
def buckets(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offload, "BUCKET", request.param)


def network(numbers: Any = torch.bfloat16) -> Any:
    torch.manual_seed(0)
    layers = torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3)
    return torch.nn.Sequential(*layers).to(numbers)


def backward(model: Any, t: int, scale: float = 1.0) -> None:
    generator = torch.Generator().manual_seed(t)
    x = torch.randn(5, 6, generator=generator).to(next(model.parameters()).dtype)
    (model(x).float().square().mean() * scale).backward()


def groups(model: Any) -> list[dict[str, Any]]:
    return [{"params": list(model[0].parameters())}, {"params": list(model[2].parameters()), "lr": 0.1}]


class Exact:
    """The same by hand: float32 weights that take the gradients of a network of 16 bits, and go back into it."""

    def __init__(self, model: Any, **kwargs: Any) -> None:
        self.model = model
        self.masters = [torch.nn.Parameter(param.detach().float()) for param in model.parameters()]
        parts = [{"params": self.masters[:2]}, {"params": self.masters[2:], "lr": 0.1}]
        self.opt = ft.AdamW(parts, **kwargs)

    def step(self) -> None:
        for param, master in zip(self.model.parameters(), self.masters, strict=True):
            master.grad = None if param.grad is None else param.grad.float()
        self.opt.step()
        with torch.no_grad():
            for param, master in zip(self.model.parameters(), self.masters, strict=True):
                param.copy_(master)


def assert_same(model: Any, other: Any) -> None:
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


@pytest.mark.usefixtures("buckets")
def test_as_without_offload() -> None:
    """With a frozen layer, two passes for a step, a step without any gradient, and a scheduler."""
    model, other = network(), network()
    opt, exact = ft.Offload(groups(model), ft.AdamW, lr=0.05), Exact(other, lr=0.05)
    schedulers = [torch.optim.lr_scheduler.ExponentialLR(each, 0.9) for each in (opt, exact.opt)]
    for t in range(6):
        for each in (model, other):
            each.zero_grad()
            each[0].weight.requires_grad_(t != 2)
            if t != 4:
                backward(each, t)
            if t == 3:
                backward(each, 10)
        opt.step()
        exact.step()
        for scheduler in schedulers:
            scheduler.step()
        assert_same(model, other)


@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("numbers", [torch.float32, torch.float64], ids=str)
def test_the_norm_is_that_of_all(numbers: Any) -> None:
    model, other = network(numbers), network(numbers)
    opt = ft.Offload(groups(model), ft.AdamW, lr=0.05, clip_norm=0.1)
    straight = ft.AdamW(groups(other), lr=0.05, clip_norm=0.1)
    for t in range(4):
        for each in (model, other):
            each.zero_grad()
            backward(each, t)
        opt.step()
        straight.step()
        assert opt.last_grad_norm == pytest.approx(straight.last_grad_norm, rel=1e-6)
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


def test_gradients_changed_after_backward_are_sent_again() -> None:
    model, other = network(), network()
    opt, exact = ft.Offload(groups(model), ft.AdamW, lr=0.05), Exact(other, lr=0.05)
    for t in range(3):
        for each in (model, other):
            each.zero_grad()
            backward(each, t)
            torch.nn.utils.clip_grad_norm_(each.parameters(), 0.05)
            each[2].bias.grad = each[2].bias.grad * 2
        opt.step()
        exact.step()
        assert_same(model, other)


def test_a_scaler() -> None:
    model, other = network(torch.float32), network(torch.float32)
    opt = ft.Offload(model.parameters(), ft.AdamW, clip_norm=0.1)
    straight = ft.AdamW(other.parameters(), clip_norm=0.1)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for t in range(3):
        model.zero_grad()
        other.zero_grad()
        backward(model, t, float(scaler.scale(torch.ones(()))))
        backward(other, t)
        scaler.step(opt)
        scaler.update()
        straight.step()
    for a, b in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("what", ["skip", "raise"])
def test_steps_that_are_not_taken(what: str) -> None:
    model = network()
    opt = ft.Offload(model.parameters(), ft.AdamW, nonfinite=what)
    before = copy.deepcopy(model)
    backward(model, 0)
    model[2].bias.grad[0] = torch.inf
    if what == "skip":
        opt.step()
    else:
        with pytest.raises(FloatingPointError):
            opt.step()
    assert opt.skipped == 1
    assert_same(model, before)


@pytest.mark.usefixtures("buckets")
@pytest.mark.parametrize("master", [torch.float32, None])
def test_resumed_is_uninterrupted(master: Any) -> None:
    model, other = network(), network()
    opt = ft.Offload(groups(model), ft.AdamW, lr=0.05, master=master)
    whole = ft.Offload(groups(other), ft.AdamW, lr=0.05, master=master)
    for t in range(6):
        if t == 3:
            saved, weights = copy.deepcopy(opt.state_dict()), model.state_dict()
            model = network()
            opt = ft.Offload(groups(model), ft.AdamW, lr=0.01, master=master)
            model.load_state_dict(weights)
            opt.load_state_dict(saved)
        for each, network_of in ((opt, model), (whole, other)):
            network_of.zero_grad()
            backward(network_of, t)
            each.step()
    assert_same(model, other)


def test_groups_that_come_later() -> None:
    model, other = network(), network()
    opt, exact = ft.Offload(groups(model)[:1], ft.AdamW, lr=0.05), Exact(other, lr=0.05)
    opt.add_param_group(groups(model)[1])
    for t in range(2):
        for each in (model, other):
            each.zero_grad()
            backward(each, t)
        opt.step()
        exact.step()
    assert_same(model, other)


def test_refusals() -> None:
    model = network()
    with pytest.raises(TypeError, match=r"optimizer_class must be a class of fusedoptim\.torch"):
        ft.Offload(model.parameters(), torch.optim.AdamW)
    with pytest.raises(ValueError, match=r"master must be torch\.float32, or None"):
        ft.Offload(model.parameters(), ft.AdamW, master=torch.float64)
    with pytest.raises(ValueError, match="Invalid learning rate"):
        ft.Offload(model.parameters(), ft.AdamW, lr=-1.0)
    with pytest.raises(ValueError, match="params must be on one device"):
        ft.Offload([model[0].weight, torch.nn.Parameter(torch.ones(2, device="meta"))], ft.AdamW)
    with pytest.raises(TypeError, match="cannot be copied"):
        copy.deepcopy(ft.Offload(model.parameters(), ft.AdamW))
    with pytest.raises(ValueError, match=r"groups of \[4\] parameters, got \[2, 2\]"):
        ft.Offload(model.parameters(), ft.AdamW).load_state_dict(ft.Offload(groups(model), ft.AdamW).state_dict())
