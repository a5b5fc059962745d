"""An optimizer's parameters with gradients, bound to plans: made once, and again where something has changed."""

import math
from typing import TYPE_CHECKING, Any

from torch import Tensor

from fusedoptim import _core
from fusedoptim.core import checks
from fusedoptim.core.options import options_from_dict, options_to_dict
from fusedoptim.torch.memory import STEPPED, is_sharded
from fusedoptim.torch.numbers import Numbers
from fusedoptim.torch.part import SHAPED, Member, Part, step_all

if TYPE_CHECKING:
    from fusedoptim.torch.optimizer import Fused

UNREAD = {"lr", "foreach", "fused"}  # by which no step differs, or which is read at each
WITHOUT_NORM = {"measures_norm": False, "require_finite": False, "raise_nonfinite": False, "clip_norm": math.inf}


class Binding:
    """Steps, as long as all is where it was."""

    def __init__(self, opt: "Fused") -> None:
        self._opt = opt
        self._state, self._groups = opt.state, list(opt.param_groups)
        parts: dict[Any, list[Member]] = {}
        idle = []
        self._numbers = []
        k = 0
        for group in self._groups:
            numbers = Numbers(
                opt._rules, group, [name for name in opt.defaults if name in group and name not in UNREAD]
            )
            self._numbers.append(numbers)
            for param in group["params"]:
                member = Member(numbers, param, k)
                k += 1
                if param.grad is None:
                    idle.append(param)
                else:
                    _check(opt, member, param.grad)
                    parts.setdefault((numbers.kind, param.grad.is_sparse), []).append(member)
        self._parts = [Part(opt, kind, sparse, members) for (kind, sparse), members in parts.items()]
        containers: list[Any] = [("", opt.state, list(opt.state), list(opt.state.values()))]
        for group in self._groups:
            params = group["params"]
            containers.append(("", params, list(range(len(params))), list(params)))
        for part in self._parts:
            part.hold(idle, containers)
        self._asks_norm = opt._options.measures_norm or opt._options.require_finite

    def step(self) -> bool:
        """False, and nothing has changed, where it must be made anew."""
        opt, options = self._opt, self._opt._options
        if opt.state is not self._state or len(opt.param_groups) != len(self._groups):
            return False
        for group, numbers in zip(opt.param_groups, self._numbers):  # noqa: B905  # of the same length
            if group is not numbers.group or not numbers.renew():
                return False
        if len(self._parts) > 1:
            return self._step_parts()
        for part in self._parts:
            if not part.take(options):
                return False
            try:
                part.step(options)
            finally:
                if self._asks_norm:
                    self._note(part.plan)
        return True

    def _note(self, plan: _core.Plan) -> None:
        self._opt.last_grad_norm = plan.norm
        self._opt.skipped += plan.skipped
        plan.skipped = 0

    def _step_parts(self) -> bool:
        """The norm is that of all parts."""
        options = options_from_dict(options_to_dict(self._opt._options) | WITHOUT_NORM)
        if not all(part.take(options) for part in self._parts):
            return False
        if self._asks_norm:
            wanted = self._opt._options
            self._opt.last_grad_norm = norm = math.hypot(*(part.plan.norm_of_tensors(options) for part in self._parts))
            if wanted.require_finite and not math.isfinite(norm):
                self._opt.skipped += 1
                if wanted.raise_nonfinite:
                    checks.not_finite("", norm)
                return True
            if norm > wanted.clip_norm:
                options.grad_scale *= norm / wanted.clip_norm
                for part in self._parts:
                    part.take(options)
        step_all(self._parts, options)
        return True


def _check(opt: "Fused", member: Member, grad: Tensor) -> None:
    """Refuses what no step can take."""
    param, name = member.param, f"params[{member.index}]"
    rule, rules = member.numbers.kind[0], opt._rules
    for what, tensor in ((name, param), (f"the gradient of {name}", grad)):
        if tensor.device.type != "cpu":
            raise ValueError(
                f"{what} is on {tensor.device}, and steps are on the CPU: move it there, or take fusedoptim.torch.Offload"
            )
    if param.dtype not in STEPPED and not param.is_complex():
        raise TypeError(f"{name} must be of float32, float64, bfloat16 or float16, got {param.dtype}")
    if grad.is_sparse:
        rules.refuse_sparse(type(opt).__name__, member.numbers.group)
    elif rules.needs_sparse:
        raise RuntimeError("SparseAdam does not support dense gradients, please consider Adam instead")
    if param.is_complex() and rule in SHAPED:
        raise RuntimeError(f"{type(opt).__name__} does not support complex parameters")
    options = opt._options
    if is_sharded(param) and (rule in _core.measured_rules or options.measures_norm or options.require_finite):
        raise ValueError(
            f"{name} is a DTensor, of which only a shard is here: {type(opt).__name__} with clip_norm or nonfinite, and "
            "rules with norms, need all of it. Clip before the step, or take an elementwise rule"
        )
