"""Tensors of 16 bits, and states of 16 and 8, with the bits of the optimizers over arrays."""

from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

torch = pytest.importorskip("torch", reason="torch is not installed")

import fusedoptim.torch as ft

SHAPES = [(30, 20), (7,), ()]
WAYS: list[dict[str, Any]] = [
    {},
    {"rounding": "stochastic", "seed": 7},
    {"rounding": "nearest"},
    {"state_dtype": "bfloat16", "rounding": "nearest"},
    {"state_dtype": "float8"},
    {"clip_norm": 1.0, "ema": 0.9},
]


def array(tensor: Any) -> Any:
    if tensor.dtype is torch.bfloat16:
        return fo.bfloat16(tensor.detach().view(torch.uint16).numpy())
    return tensor.detach().numpy()


def bits(values: Any) -> Any:
    return values.view({2: np.uint16, 4: np.uint32, 1: np.uint8}[values.dtype.itemsize])


def made(numbers: Any) -> list[Any]:
    torch.manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape).to(numbers)) for shape in SHAPES]


def set_grads(params: list[Any], t: int, numbers: Any = None) -> None:
    generator = torch.Generator().manual_seed(t)
    for param in params:
        param.grad = torch.randn(param.shape, generator=generator).to(param.dtype)


@pytest.mark.parametrize(
    ("name", "way"),
    # SGD has no state
    [
        (name, way)
        for name in ("AdamW", "Lion", "SGD", "Yogi")
        for way in WAYS
        if name != "SGD" or "state_dtype" not in way
    ],
    ids=str,
)
@pytest.mark.parametrize("numbers", ["bfloat16", "float16", "float32"])
def test_bits_are_those_over_arrays(name: str, numbers: str, way: dict[str, Any]) -> None:
    own = made(getattr(torch, numbers))
    weights = [array(torch.nn.Parameter(param.detach().clone())) for param in own]
    opt, other = getattr(ft, name)(own, lr=0.1, **way), getattr(fo, name)(weights, lr=0.1, **way)
    for t in range(4):
        set_grads(own, t)
        other.step([array(param.grad) for param in own])
        opt.step()
        for param, weight in zip(own, weights, strict=True):
            assert np.array_equal(bits(array(param)), bits(weight))


@pytest.mark.parametrize("numbers", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "name", ["AdamW", "SGD", "RMSprop", "Adagrad", "Adamax", "RAdam", "NAdam", "LAMB", "Muon", "Adafactor"]
)
def test_as_near_as_float32(name: str, numbers: Any) -> None:
    """Rules that take whole float32 tensors alone are given a copy."""
    shapes = [(30, 20), (7, 5)]
    torch.manual_seed(0)
    own = [torch.nn.Parameter(torch.randn(shape).to(numbers)) for shape in shapes]
    exact = [torch.nn.Parameter(param.detach().float()) for param in own]
    opt, other = getattr(ft, name)(own, lr=0.01), getattr(ft, name)(exact, lr=0.01)
    for t in range(5):
        set_grads(own, t)
        for param, like in zip(exact, own, strict=True):
            param.grad = like.grad.float()
        opt.step()
        other.step()
    for param, like in zip(own, exact, strict=True):
        torch.testing.assert_close(param.float(), like, rtol=5e-2, atol=2e-2)
        assert not torch.equal(param, torch.zeros_like(param))


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_resumed_is_uninterrupted(way: dict[str, Any]) -> None:
    straight, own = made(torch.bfloat16), made(torch.bfloat16)
    whole, opt = ft.AdamW(straight, lr=0.1, **way), ft.AdamW(own, lr=0.1, **way)
    for t in range(6):
        if t == 3:
            saved = opt.state_dict()
            opt = ft.AdamW(own, lr=0.1, **way)
            opt.load_state_dict(saved)
        for each, params in ((whole, straight), (opt, own)):
            set_grads(params, t)
            each.step()
    assert all(torch.equal(a, b) for a, b in zip(own, straight, strict=True))


def test_a_copy_of_16_bits_is_written_with_the_weight() -> None:
    own = made(torch.float32)
    copies = [torch.zeros_like(param, dtype=torch.bfloat16) for param in own]
    opt = ft.AdamW(own, lr=0.1, copy_to=[*copies[:2], None])
    assert torch.equal(copies[0], own[0].bfloat16())
    for t in range(3):
        set_grads(own, t)
        for param in own:
            param.grad = param.grad.bfloat16().float()
        opt.step()
    assert torch.equal(copies[0], own[0].bfloat16()) and torch.equal(copies[1], own[1].bfloat16())
    assert not copies[2].any()


@pytest.mark.parametrize(
    ("copies", "message"),
    [
        (lambda own: [None], r"copy_to must have a tensor or None for each of 3 parameters, got 1"),
        (
            lambda own: [torch.zeros_like(own[0]), None, None],
            r"copy_to\[0\] must be a dense tensor of 16 bits .*torch.float32",
        ),
        (lambda own: [own[0].bfloat16().t(), None, None], r"copy_to\[0\] must be .*\(20, 30\)"),
    ],
)
def test_copies_are_checked(copies: Any, message: str) -> None:
    own = made(torch.float32)
    with pytest.raises(ValueError, match=message):
        ft.AdamW(own, copy_to=copies(own))


def test_storage_is_checked_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="state_dtype must be"):
        ft.AdamW(made(torch.float32), state_dtype="float4")
    with pytest.raises(ValueError, match="sgd has no state that may be narrow"):
        ft.SGD(made(torch.float32), state_dtype="float8")
    opt = ft.AdamW(made(torch.float32), state_dtype={"exp_avg": "bfloat16"})
    set_grads(opt.param_groups[0]["params"], 0)
    opt.step()
    state = opt.state[opt.param_groups[0]["params"][0]]
    assert state["exp_avg"].dtype is torch.bfloat16 and state["exp_avg_sq"].dtype is torch.float32


def test_channels_last_of_16_bits() -> None:
    torch.manual_seed(0)
    start = torch.randn(2, 3, 4, 5).bfloat16()
    own = torch.nn.Parameter(start.clone().to(memory_format=torch.channels_last))
    straight = torch.nn.Parameter(start.clone())
    opt, other = ft.AdamW([own], lr=0.1), ft.AdamW([straight], lr=0.1)
    for t in range(3):
        set_grads([straight], t)
        own.grad = torch.empty_like(own).copy_(straight.grad)
        opt.step()
        other.step()
    assert torch.equal(own, straight)
    assert not opt._binding._parts[0]._stand_ins
