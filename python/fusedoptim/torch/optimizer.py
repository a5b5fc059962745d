"""The step that the classes of torch.optim are given: what of it is in Python."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim import optimizer as hooks

from fusedoptim.core import checks
from fusedoptim.core.lock import Turn
from fusedoptim.core.options import make_options
from fusedoptim.core.storage import Storage, make_storage
from fusedoptim.torch.binding import Binding
from fusedoptim.torch.memory import is_dense, plain, set_all
from fusedoptim.torch.numbers import has_found_inf, refuse_flags
from fusedoptim.torch.rules import Rules
from fusedoptim.torch.stand_in import NARROW
from fusedoptim.torch.states import States

MOST_BINDINGS = 32


class Fused(Optimizer):
    """Mixed into a class of torch's: its constructor, groups, states and hooks, and a step that is one pass over memory.

    Parameters
    ----------
    *args, **kwargs
        Those of the class in torch, also in the words of its errors. `foreach` and `fused` have no effect.
    clip_norm, clip_value, ema, nonfinite, num_threads, state_dtype, rounding, seed
        As every optimizer of this package takes them: :class:`fusedoptim.Common`.
    copy_to : list of tensors, optional
        Of 16 bits, or None, one for each parameter in the order of all groups: into which the update writes it as well.

    Raises
    ------
    ValueError
        where `capturable` or `differentiable` is True, or one of these is outside its domain.
    """

    _rules: ClassVar[Rules]
    grad_scale: Any  # which a GradScaler sets for the time of a step
    _step_supports_amp_scaling = True

    def __init_subclass__(cls) -> None:
        """Shows the arguments of the class in torch, and ours, where there is one."""
        super().__init_subclass__()
        theirs = [base for base in cls.__mro__ if base.__module__.startswith("torch.optim") and base is not Optimizer]
        if theirs and "__init__" not in vars(cls):
            of_torch, own = (inspect.signature(each).parameters.values() for each in (theirs[0], Fused))
            keywords = [each for each in own if each.kind is each.KEYWORD_ONLY]
            cls.__signature__ = inspect.Signature([*of_torch, *keywords])

    def __init__(
        self,
        *args: Any,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        ema: float | None = None,
        nonfinite: str = "propagate",
        num_threads: int | None = None,
        state_dtype: str | Mapping[str, str] | None = None,
        rounding: str | None = None,
        copy_to: Sequence[Tensor | None] | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        self._common: dict[str, Any] = {
            "clip_norm": clip_norm,
            "clip_value": clip_value,
            "ema": ema,
            "nonfinite": nonfinite,
            "num_threads": num_threads,
            "seed": seed,
        }
        self._storage: dict[str, Any] = {"state_dtype": state_dtype, "rounding": rounding, "copy_to": None}
        self._begin()
        super().__init__(*args, **kwargs)
        for group in self.param_groups:
            self.storage(self._rules.rule(group))
        if copy_to is not None:
            self._set_copies(list(copy_to))

    def state_of(self, param: Tensor) -> dict[str, Any]:
        state: dict[str, Any] = self.state[param]
        return state

    def storage(self, rule: str) -> Storage:
        """In how many bits a rule keeps its weights and states."""
        state_dtype, rounding = self._storage["state_dtype"], self._storage["rounding"]
        if isinstance(state_dtype, Mapping):
            ours = {theirs: name for name, theirs in self._rules.states(rule, 2).items()}
            state_dtype = {ours.get(name, name): dtype for name, dtype in state_dtype.items()}
        return make_storage(rule, state_dtype, rounding)

    def _set_copies(self, copies: list[Tensor | None]) -> None:
        params = [param for group in self.param_groups for param in group["params"]]
        if len(copies) != len(params):
            raise ValueError(
                f"copy_to must have a tensor or None for each of {len(params)} parameters, got {len(copies)}"
            )
        for k, (param, copied) in enumerate(zip(params, copies, strict=True)):
            if copied is None:
                continue
            is_one = copied.dtype in NARROW and param.dtype == torch.float32 and copied.device.type == "cpu"
            lies_alike = copied.shape == param.shape and copied.stride() == param.stride() and is_dense(copied)
            if not (is_one and lies_alike):
                raise ValueError(
                    f"copy_to[{k}] must be a dense tensor of 16 bits on the CPU that lies as params[{k}], of float32, "
                    f"does, got {copied.dtype} of shape {tuple(copied.shape)} on {copied.device}"
                )
            copied.copy_(param.detach())
        self._storage["copy_to"] = copies

    def copy_of(self, index: int) -> Tensor | None:
        """Into which a parameter is copied when it is updated."""
        copies = self._storage["copy_to"]
        return copies[index] if copies is not None and index < len(copies) else None

    def _begin(self) -> None:
        """Makes what no copy and no state dict has."""
        self._scale = 1.0
        self._options = make_options(**self._common)
        self._counts = self._rules.counts or self._options.keeps_ema
        self._turn = Turn()
        self._states = States()
        self._hidden: dict[int, dict[str, Any]] = {}  # states of a parameter that torch does not have
        self._bindings: dict[Any, Binding] = {}
        self._binding: Binding | None = None
        self.skipped = 0
        self.last_grad_norm: float | None = None

    def _counted_step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        own = self.__dict__
        if "found_inf" in own and has_found_inf(own):
            return loss
        lock = self._turn.lock
        if lock.locked():
            checks.busy()
        with lock:
            if self._scale != 1.0 or "grad_scale" in own:
                self._set_scale(own.get("grad_scale"))
            if self._binding is None or not self._binding.step():
                self._step_anew()
        return loss

    _hooked_step = Optimizer.profile_hook_step(_counted_step)

    _step_past_compilers = torch._disable_dynamo(_hooked_step)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters that have gradients, and returns the loss of the closure, if there is one."""
        if torch.compiler.is_compiling():  # a graph breaks here: what counts the steps is not in it
            return self._step_past_compilers(closure)
        if (
            self._optimizer_step_pre_hooks
            or self._optimizer_step_post_hooks
            or hooks._global_optimizer_pre_hooks
            or hooks._global_optimizer_post_hooks
            or torch.autograd._profiler_enabled()
        ):
            return self._hooked_step(closure)
        return self._counted_step(closure)

    step.hooked = True  # type: ignore[attr-defined]  # torch's wrapper takes longer than a small step

    def _set_scale(self, scale: Tensor | None) -> None:
        """What a GradScaler has multiplied the loss by, if it has not divided the gradients yet."""
        factor = 1.0 if scale is None else float(scale)
        if factor != self._scale:
            self._options.grad_scale = self._scale = factor

    def _key(self) -> tuple[Any, ...]:
        """Which parameters have gradients, in which groups."""
        return tuple(
            (id(group), *(id(param) for param in group["params"] if param.grad is not None))
            for group in self.param_groups
        )

    @torch.no_grad()
    def _step_anew(self) -> None:
        """With the parameters that have gradients now, and where they are now."""
        key = self._key()
        known = self._bindings.get(key)
        if known is not None and known is not self._binding and known.step():
            self._binding = known
            return
        self._binding = None
        if all(param.grad is None for group in self.param_groups for param in group["params"]):
            return
        if len(self._bindings) >= MOST_BINDINGS:
            self._bindings.clear()
        binding = Binding(self)
        if not binding.step():
            raise RuntimeError("a parameter or its gradient changed during the step")
        self._binding = self._bindings[key] = binding

    # -- states --------------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if isinstance(param_group, dict):  # else refused below
            refuse_flags(self.defaults | param_group)
        super().add_param_group(param_group)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As torch's, but that states are copied, of the dtype they have: those of another optimizer stay its own."""
        seen: list[dict[str, Any]] = []
        last = self.register_load_state_dict_pre_hook(lambda _, given: seen.append(given))
        first = self.register_load_state_dict_post_hook(lambda _: self._copy_states(seen[0]), prepend=True)
        try:
            super().load_state_dict(state_dict)
        finally:
            last.remove()
            first.remove()

    def _copy_states(self, saved: dict[str, Any]) -> None:
        names = chain.from_iterable(group["params"] for group in saved["param_groups"])
        params = chain.from_iterable(group["params"] for group in self.param_groups)
        for name, param in zip(names, params, strict=True):
            found = saved["state"].get(name, {})
            self.state[param].update(
                {key: each.detach().clone() for key, each in found.items() if isinstance(each, Tensor)}
            )

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"_common": self._common, "_storage": self._storage}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._begin()

    @contextmanager
    def using_ema(self) -> Iterator[None]:
        """The averages of the weights in their place until the block ends, to evaluate with them; needs ``ema=decay``."""
        if not self._options.keeps_ema:
            raise AttributeError(f"{type(self).__name__} keeps no average of the weights; make it with ema=0.999")
        with torch.no_grad():
            averaged = [(plain(param), plain(state["ema"])) for param, state in self.state.items() if "ema" in state]
            params, averages = [param for param, _ in averaged], [ema for _, ema in averaged]
            weights = [param.clone() for param in params]
            try:
                set_all(params, averages)
                yield
            finally:
                set_all(params, weights)
