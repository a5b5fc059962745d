"""Adam for ZeRO-Offload, with the arguments and methods of DeepSpeed's."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from fusedoptim.core.groups import Hyper
from fusedoptim.torch.optimizer import Fused
from fusedoptim.torch.rules import Group, Rules


class OfCPUAdam(Rules):
    def rule(self, group: Group) -> str:
        return "adamw" if group["adamw_mode"] else "adam"

    def hyper(self, rule: str, group: Group) -> Hyper:
        uncorrected = {} if group["bias_correction"] else {"t": float("inf")}
        return super().hyper(rule, group) | uncorrected


class CPUAdam(Fused, Optimizer):
    """Adam and AdamW with the interface of ``deepspeed.ops.adam.DeepSpeedCPUAdam``.

    DeepSpeed takes it as a client's optimizer, with two settings: ``"zero_force_ds_cpu_optimizer": false`` and
    ``"zero_allow_untested_optimizer": true``.

    Parameters
    ----------
    model_params : iterable of tensors, or of groups
        On the CPU, of float32, bfloat16 or float16.
    lr : float, default 1e-3
    bias_correction : bool, default True
    betas : pair of floats, default (0.9, 0.999)
    eps : float, default 1e-8
    weight_decay : float, default 0
    amsgrad : bool, default False
        Has no effect, as there.
    adamw_mode : bool, default True
        Whether the decay is AdamW's, or an L2 penalty.
    fp32_optimizer_states : bool, default True
        Of parameters of 16 bits: otherwise their averages are bfloat16, rounded at random.
    **common
        Those of every class here.

    Raises
    ------
    TypeError, ValueError
        where an argument is outside its domain.

    Examples
    --------
    >>> import torch
    >>> from fusedoptim.torch import CPUAdam
    >>> w = torch.nn.Parameter(torch.ones(2))
    >>> opt = CPUAdam([w], lr=0.5)
    >>> w.grad = torch.ones(2)
    >>> opt.step()
    >>> w.detach()
    tensor([0.5000, 0.5000])
    """

    _rules = OfCPUAdam("adam", "adamw")

    def __init__(
        self,
        model_params: Iterable[Any],
        lr: float = 1e-3,
        bias_correction: bool = True,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        adamw_mode: bool = True,
        fp32_optimizer_states: bool = True,
        **common: Any,
    ) -> None:
        self._subgroup: Any = None
        if not fp32_optimizer_states:
            common.setdefault("state_dtype", "bfloat16")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "bias_correction": bias_correction,
            "amsgrad": amsgrad,
            "adamw_mode": adamw_mode,
        }
        super().__init__(model_params, defaults, **common)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._subgroup = None
        super().__setstate__(state)

    def state_of(self, param: Tensor) -> dict[str, Any]:
        return super().state_of(param if self._subgroup is None else self._subgroup)

    def _key(self) -> tuple[Any, ...]:
        return self._subgroup, *super()._key()

    def step_subgroup(self, subgroup_id: int, closure: Callable[[], Any] | None = None) -> Any:
        """A step of the one parameter that has a gradient, whose state is kept under a number: of a part of a larger one."""
        self._check_single()
        self._subgroup, self._binding = subgroup_id, None
        try:
            return self.step(closure)
        finally:
            self._subgroup, self._binding = None, None

    @torch.no_grad()
    def rollback_subgroup(self, subgroup_id: int, closure: Callable[[], Any] | None = None) -> None:
        """Takes back the last :meth:`step_subgroup`, with its gradient, as far as rounding allows.

        Raises
        ------
        RuntimeError
            where there was none; nothing has changed then.
        """
        state = self.state.get(subgroup_id, {})
        if int(state.get("step", 0)) <= 0:
            raise RuntimeError(
                f"cannot roll back sub-group {subgroup_id}, which has taken no step; call step_subgroup first"
            )
        group, param = self._check_single()
        m, v, t = state["exp_avg"].float(), state["exp_avg_sq"].float(), int(state["step"])
        (beta1, beta2), lr, decay = group["betas"], float(group["lr"]), group["weight_decay"]
        corrections = (1 - beta1**t, 1 - beta2**t) if group["bias_correction"] else (1.0, 1.0)
        w = param.float() + lr * (m / corrections[0]) / ((v / corrections[1]).sqrt() + group["eps"])
        w = w / (1 - lr * decay) if group["adamw_mode"] else w
        g = param.grad.float() / self._scale + (0.0 if group["adamw_mode"] else decay) * w
        state["exp_avg"].copy_((m - (1 - beta1) * g) / beta1)
        state["exp_avg_sq"].copy_(((v - (1 - beta2) * g * g) / beta2).clamp_(min=0))
        state["step"] -= 1
        param.copy_(w)
        if "w_low" in state:
            state["w_low"].zero_()

    def _check_single(self) -> tuple[dict[str, Any], Tensor]:
        found = [(group, param) for group in self.param_groups for param in group["params"] if param.grad is not None]
        if len(found) != 1:
            raise ValueError(f"a sub-group is one parameter with a gradient, got {len(found)}; set the others' to None")
        return found[0]
