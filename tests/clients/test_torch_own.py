"""The optimizers that torch has not, over its tensors: the bits of those over arrays."""

import inspect
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from .. import ROOT

torch = pytest.importorskip("torch", reason="torch is not installed")

import fusedoptim.torch as ft
from fusedoptim.torch import own

ARGUMENTS: dict[str, dict[str, Any]] = {
    "Lion": {"cautious": True, "weight_decay": 0.1},
    "WindowSGD": {"window": 2},
    "LARS": {"nesterov": True, "weight_decay": 0.1},
    "AdEMAMix": {"warmup": 3},
    "ScheduleFreeAdamW": {"warmup_steps": 2},
    "Yogi": {"weight_decay": 0.1},
}


@pytest.mark.parametrize("numbers", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", own.CLASSES)
def test_bits_are_those_over_arrays(name: str, numbers: Any) -> None:
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(shape, dtype=numbers)) for shape in [(4, 3), (5, 2), (2, 3, 4), (6,)]]
    weights = [param.detach().clone().numpy() for param in params]
    kwargs = ARGUMENTS.get(name, {})
    opt, other = getattr(ft, name)(params, lr=0.01, **kwargs), getattr(fo, name)(weights, lr=0.01, **kwargs)
    for _ in range(5):
        for param in params:
            param.grad = torch.randn(param.shape, dtype=numbers)
        other.step([param.grad.numpy() for param in params])
        opt.step()
    for param, weight in zip(params, weights, strict=True):
        assert param.detach().numpy().tobytes() == weight.tobytes()


@pytest.mark.parametrize("name", own.CLASSES)
def test_resumed_is_uninterrupted(name: str) -> None:
    torch.manual_seed(0)
    straight = [torch.nn.Parameter(torch.randn(4, 3)) for _ in range(2)]
    params = [torch.nn.Parameter(param.detach().clone()) for param in straight]
    kind = getattr(ft, name)
    whole, opt = kind(straight, lr=0.01), kind(params, lr=0.01)
    for t in range(6):
        if t == 3:
            saved = opt.state_dict()
            opt = kind(params, lr=0.5)
            opt.load_state_dict(saved)
        for each, of_each in ((whole, straight), (opt, params)):
            torch.manual_seed(t)
            for param in of_each:
                param.grad = torch.randn(4, 3)
            each.step()
    assert all(torch.equal(a, b) for a, b in zip(params, straight, strict=True))


def test_all_are_there() -> None:
    theirs = {"RMSprop"} | {name for name in fo.optim.__all__ if hasattr(torch.optim, name) and name != "Optimizer"}
    ours = set(fo.optim.__all__) - {"Optimizer", "PolyakSGD", "RMSProp"}
    assert set(ft.__all__) == ours | theirs | {"CPUAdam", "Offload"}
    assert all(issubclass(getattr(ft, name), torch.optim.Optimizer) for name in ft.__all__)
    assert all((getattr(ft, name).__doc__ or "").strip() for name in ft.__all__)
    for name in theirs:
        assert issubclass(getattr(ft, name), getattr(torch.optim, name))


def test_the_signature_is_that_of_the_optimizer() -> None:
    shown = inspect.signature(ft.Lion).parameters
    assert list(shown)[:5] == ["params", "lr", "betas", "weight_decay", "cautious"]
    assert shown["lr"].default == inspect.signature(fo.Lion).parameters["lr"].default
    assert {"maximize", "clip_norm", "state_dtype"} <= shown.keys()


def test_the_signature_of_torchs_classes_has_ours_too() -> None:
    theirs, shown = (inspect.signature(each).parameters for each in (torch.optim.AdamW, ft.AdamW))
    assert list(shown)[: len(theirs)] == list(theirs)
    assert {"clip_norm", "ema", "state_dtype", "num_threads"} <= shown.keys()


def test_arguments_are_refused_in_our_words() -> None:
    params = [torch.nn.Parameter(torch.ones(2))]
    with pytest.raises((TypeError, ValueError), match=r"beta1 must be a number in \[0, 1\), got 1.5"):
        ft.Lion(params, betas=(1.5, 0.9))
    with pytest.raises((TypeError, ValueError), match="lr must be a finite number"):
        ft.Lion(params, lr=float("nan"))
    with pytest.raises(TypeError, match="betaz"):
        ft.Lion(params, betaz=1.0)
    opt = ft.Lion(params)
    with pytest.raises((TypeError, ValueError), match="lr must be"):
        opt.add_param_group({"params": [torch.nn.Parameter(torch.ones(2))], "lr": "fast"})
    assert len(opt.param_groups) == 1


def test_maximize_and_groups() -> None:
    w, v = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    opt = ft.SignSGD([{"params": [w], "maximize": True}, {"params": [v], "lr": 0.5}], lr=0.25)
    w.grad = v.grad = torch.ones(2)
    opt.step()
    assert w.tolist() == [0.25, 0.25] and v.tolist() == [-0.5, -0.5]


def test_rows() -> None:
    """A rule that can leave rows out takes a sparse gradient, another refuses."""
    table = torch.nn.Parameter(torch.ones(4, 2))
    grad = torch.sparse_coo_tensor([[1, 3, 1]], torch.ones(3, 2), (4, 2), check_invariants=True)
    table.grad = grad
    ft.RowWiseAdagrad([table], lr=0.1).step()
    assert torch.equal(table[0], torch.ones(2)) and not torch.equal(table[1], torch.ones(2))
    with pytest.raises(RuntimeError, match="LAMB does not support sparse gradients"):
        ft.LAMB([table]).step()


def test_programs_of_the_page(tmp_path: Path) -> None:
    page = ROOT / "docs" / "torch.md"
    if not page.exists():
        pytest.skip("the documentation is not here")
    for program in re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE):
        (tmp_path / "program.py").write_text(program)
        runpy.run_path(str(tmp_path / "program.py"))


def test_noise_is_drawn_by_the_seed() -> None:
    def run(seed: int) -> Any:
        w = torch.nn.Parameter(torch.zeros(100))
        opt = ft.NoisySGD([w], lr=0.1, seed=seed)
        w.grad = torch.zeros(100)
        opt.step()
        return w.detach()

    assert torch.equal(run(1), run(1)) and not torch.equal(run(1), run(2))
    assert np.isfinite(run(1).numpy()).all()
