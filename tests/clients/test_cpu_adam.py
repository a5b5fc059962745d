"""DeepSpeed's interface: against torch's Adam, sub-groups, and ZeRO's way with groups."""

from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")

from fusedoptim.torch import CPUAdam


def pair(numbers: Any = None, n: int = 50) -> tuple[Any, Any]:
    torch.manual_seed(0)
    start = torch.randn(n).to(numbers or torch.float32)
    return torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.clone().double())


def grad(t: int, n: int = 50) -> Any:
    return torch.randn(n, generator=torch.Generator().manual_seed(t))


@pytest.mark.parametrize("adamw_mode", [True, False])
@pytest.mark.parametrize("numbers", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("wide", [True, False])
def test_as_torchs(adamw_mode: bool, numbers: Any, wide: bool) -> None:
    own, theirs = pair(numbers)
    opt = CPUAdam([own], lr=1e-2, weight_decay=0.1, adamw_mode=adamw_mode, fp32_optimizer_states=wide)
    kind = torch.optim.AdamW if adamw_mode else torch.optim.Adam
    loop = kind([theirs], lr=1e-2, weight_decay=0.1, foreach=False)
    for t in range(5):
        own.grad = grad(t).to(numbers)
        theirs.grad = own.grad.double()
        opt.step()
        loop.step()
    exact = numbers is torch.float32 and wide
    torch.testing.assert_close(own.double(), theirs, rtol=1e-5 if exact else 2e-2, atol=1e-6 if exact else 1e-2)
    assert opt.state[own]["exp_avg"].dtype is (torch.float32 if wide else torch.bfloat16)


def test_without_bias_correction() -> None:
    own, _ = pair()
    before = own.detach().clone()
    own.grad = grad(0)
    CPUAdam([own], lr=1e-2, bias_correction=False, betas=(0.5, 0.75)).step()
    m, v = 0.5 * grad(0), 0.25 * grad(0) ** 2
    torch.testing.assert_close(own, before - 1e-2 * m / (v.sqrt() + 1e-8))


def test_subgroups_have_states_of_their_own() -> None:
    """The same tensor, brought in and out, as ZeRO-3 does."""
    (one, _), (other, _) = pair(), pair()
    whole = CPUAdam([one], lr=1e-2)
    place = torch.nn.Parameter(torch.empty(50))
    opt = CPUAdam([place], lr=1e-2)
    parts = {0: other.detach().clone(), 1: torch.ones(50)}
    for t in range(3):
        one.grad = grad(t)
        whole.step()
        for k, part in parts.items():
            place.data = part
            place.grad = grad(t)
            opt.step_subgroup(k)
    assert torch.equal(parts[0], one)
    assert set(opt.state) == {0, 1} and int(opt.state[1]["step"]) == 3


@pytest.mark.parametrize("adamw_mode", [True, False])
def test_a_step_can_be_rolled_back(adamw_mode: bool) -> None:
    own, _ = pair()
    opt = CPUAdam([own], lr=1e-2, weight_decay=0.1, adamw_mode=adamw_mode)
    for t in range(3):
        before = own.detach().clone(), {name: each.clone() for name, each in opt.state.get(7, {}).items()}
        own.grad = grad(t)
        opt.step_subgroup(7)
    opt.rollback_subgroup(7)
    torch.testing.assert_close(own.detach(), before[0], rtol=1e-5, atol=1e-6)
    for name, each in before[1].items():
        torch.testing.assert_close(opt.state[7][name], each, rtol=1e-3, atol=1e-6)
    with pytest.raises(RuntimeError, match="cannot roll back sub-group 8, which has taken no step"):
        opt.rollback_subgroup(8)


def test_a_subgroup_is_one_parameter() -> None:
    (one, _), (other, _) = pair(), pair()
    one.grad = other.grad = grad(0)
    with pytest.raises(ValueError, match="a sub-group is one parameter with a gradient, got 2"):
        CPUAdam([one, other]).step_subgroup(0)


def test_groups_one_at_a_time() -> None:
    """ZeRO replaces the list of groups by one of them around each step."""
    (one, _), (other, _) = pair(), pair(n=30)
    (a, _), (b, _) = pair(), pair(n=30)
    opt = CPUAdam([{"params": [one]}, {"params": [other], "lr": 0.1}], lr=1e-2)
    straight = CPUAdam([{"params": [a]}, {"params": [b], "lr": 0.1}], lr=1e-2)
    for t in range(4):
        one.grad, other.grad, a.grad, b.grad = grad(t), grad(t, 30), grad(t), grad(t, 30)
        groups = opt.param_groups
        for group in groups:
            opt.param_groups = [group]
            opt.step()
        opt.param_groups = groups
        straight.step()
    assert torch.equal(one, a) and torch.equal(other, b)
    assert len(opt._bindings) == 2
