"""Parameters on an accelerator, whose states and exact weights are in the memory of the CPU, and are stepped there."""

import math
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NoReturn

import torch
from torch import Tensor
from torch.optim import Optimizer

from fusedoptim.core import checks
from fusedoptim.core.options import make_options
from fusedoptim.torch.numbers import has_found_inf
from fusedoptim.torch.optimizer import Fused
from fusedoptim.torch.stand_in import NARROW

BUCKET = 32 << 20  # bytes of gradients that are sent together, and stepped while others are on their way
MASTER = "master"


@dataclass
class Remote:
    """A parameter on the device, and what the CPU has of it, in pinned memory."""

    param: Tensor
    master: torch.nn.Parameter
    grad: Tensor
    copy: Tensor | None  # of 16 bits, which goes back; None: the master does
    sent: tuple[int, int] | None = None  # which gradient is in `grad`, and its version
    norm: Tensor | None = None  # of that, on the device

    def now(self) -> tuple[int, int] | None:
        grad = self.param.grad
        return None if grad is None else (id(grad), grad._version)


@dataclass
class Bucket:
    """Parameters of a group whose gradients come over together, and the optimizer of their masters."""

    group: dict[str, Any]
    remotes: list[Remote]
    inner: Fused
    arrived: Any  # an event of the device: the gradients are there
    missing: set[int] = field(default_factory=set)
    is_sent: bool = False

    def expect_all(self) -> None:
        self.missing = {id(each.param) for each in self.remotes if each.param.requires_grad}
        self.is_sent = False


class Offload(Optimizer):
    """Steps parameters of an accelerator on the CPU, which keeps their exact weights and the states.

    A gradient comes over as soon as backward has made it, in buckets, while backward goes on. A step is one pass over each
    bucket: it reads the gradients as they are, updates the master weights, and writes the copy of 16 bits that goes back while
    the next bucket is stepped.

    Parameters
    ----------
    params : iterable of tensors, or of groups
        On one device, which may be "cpu" too. `param_groups` are theirs, so learning rate schedulers work.
    optimizer_class : class of ``fusedoptim.torch``
    master : dtype, default torch.float32
        Of the weights on the CPU; None is that of the parameters.
    clip_norm : float, optional
        The gradients of all groups together are multiplied by ``min(1, clip_norm / norm)``. The norm is computed on the
        device; a step waits for all of it.
    nonfinite : {"propagate", "skip", "raise"}, default "propagate"
        What to do where the norm of the gradients is not finite.
    **kwargs
        Those of the class.

    Raises
    ------
    TypeError, ValueError
        where an argument is refused, or the parameters are on several devices.

    Notes
    -----
    With gradients of several backward passes in one step, each pass sends them again. A gradient that is changed after
    backward, as by a scaler, is sent again by the step. The weights on the device must not be changed by others: the master
    weights would not know.

    Examples
    --------
    >>> import torch
    >>> from fusedoptim.torch import AdamW, Offload
    >>> model = torch.nn.Linear(4, 2, dtype=torch.bfloat16)  # .to("cuda")
    >>> opt = Offload(model.parameters(), AdamW, lr=1e-3, clip_norm=1.0)
    >>> model(torch.ones(3, 4, dtype=torch.bfloat16)).sum().backward()
    >>> opt.step()
    """

    _step_supports_amp_scaling = True

    def __init__(
        self,
        params: Iterable[Any],
        optimizer_class: type[Fused],
        *,
        master: torch.dtype | None = torch.float32,
        clip_norm: float | None = None,
        nonfinite: str = "propagate",
        **kwargs: Any,
    ) -> None:
        if not issubclass(optimizer_class, Fused):
            raise TypeError(f"optimizer_class must be a class of fusedoptim.torch, got {optimizer_class!r}")
        if master not in (torch.float32, None):
            raise ValueError(f"master must be torch.float32, or None for the dtype of the parameters, got {master}")
        options = make_options(clip_norm=clip_norm, nonfinite=nonfinite)
        self._clip_norm, self._nonfinite = options.clip_norm, nonfinite
        self._measures = options.measures_norm or options.require_finite
        self._master, self._class, self._kwargs = master, optimizer_class, kwargs
        self.skipped = 0
        self.last_grad_norm: float | None = None
        self._buckets: list[Bucket] | None = None
        super().__init__(params, optimizer_class([torch.zeros(1, 1)], **kwargs).defaults)
        devices = {param.device for group in self.param_groups for param in group["params"]}
        if len(devices) > 1:
            raise ValueError(f"params must be on one device, got {sorted(map(str, devices))}; take an Offload for each")
        (self._device,) = devices
        self._lanes: Any = torch.get_device_module(self._device)  # "cpu" has streams and events too, which do nothing
        self._down, self._up = self._lanes.Stream(self._device), self._lanes.Stream(self._device)
        self._buckets = []
        self._remote_of: dict[Tensor, Remote] = {}
        self._bucket_of: dict[Tensor, Bucket] = {}
        self._queue: list[Bucket] = []  # in the order in which they were sent
        for group in self.param_groups:
            self._carry(group)

    # -- what is where -------------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(param_group)
        if self._buckets is not None:
            self._carry(self.param_groups[-1])

    @torch.no_grad()
    def _carry(self, group: dict[str, Any]) -> None:
        """Makes the buckets of a group, in the order in which backward makes gradients."""
        remotes: list[Remote] = []
        for param in reversed(group["params"]):
            remotes.append(self._remote(param))
            if sum(each.grad.nbytes for each in remotes) >= BUCKET:
                self._add_bucket(group, remotes)
                remotes = []
        if remotes:
            self._add_bucket(group, remotes)

    def _remote(self, param: Tensor) -> Remote:
        dtype = self._master if self._master is not None and param.dtype in NARROW else param.dtype
        master = torch.nn.Parameter(self._pinned(param, dtype).copy_(param))
        can_differ = hasattr(master, "grad_dtype")  # since torch 2.10
        grad = self._pinned(param, param.dtype if can_differ else dtype)
        if can_differ:
            master.grad_dtype = grad.dtype
        return Remote(param, master, grad, None if dtype == param.dtype else self._pinned(param, param.dtype))

    def _pinned(self, param: Tensor, dtype: torch.dtype) -> Tensor:
        return torch.empty_like(param, dtype=dtype, device="cpu", pin_memory=self._device.type != "cpu")

    def _add_bucket(self, group: dict[str, Any], remotes: list[Remote]) -> None:
        inner = self._class([each.master for each in remotes], copy_to=[each.copy for each in remotes], **self._kwargs)
        bucket = Bucket(group, remotes, inner, self._lanes.Event())
        bucket.expect_all()
        assert self._buckets is not None
        self._buckets.append(bucket)
        own = weakref.ref(self)

        def has_arrived(param: Tensor) -> None:
            if (opt := own()) is not None:
                opt._has_arrived(param)

        for each in remotes:
            self._remote_of[each.param], self._bucket_of[each.param] = each, bucket
            if each.param.requires_grad:
                each.param.register_post_accumulate_grad_hook(has_arrived)

    # -- gradients -----------------------------------------------------------------------------------------------------

    def _has_arrived(self, param: Tensor) -> None:
        bucket = self._bucket_of[param]
        if bucket.is_sent:  # of a pass before this one
            bucket.expect_all()
        bucket.missing.discard(id(param))
        if not bucket.missing:
            self._send(bucket)

    @torch.no_grad()
    def _send(self, bucket: Bucket) -> None:
        """Gradients to the CPU, after what is queued on the device now."""
        self._down.wait_stream(self._lanes.current_stream(self._device))
        with self._lanes.stream(self._down):
            for each in bucket.remotes:
                grad = each.param.grad
                each.sent = each.now()
                if grad is None:
                    continue
                each.grad.copy_(grad, non_blocking=True)
                if self._measures:
                    wide = torch.float64 if grad.dtype is torch.float64 else torch.float32
                    each.norm = torch.linalg.vector_norm(grad, dtype=wide).double()
                if self._device.type != "cpu":
                    grad.record_stream(self._down)
            bucket.arrived.record(self._down)
        bucket.is_sent = True
        self._queue = [other for other in self._queue if other is not bucket] + [bucket]

    # -- the step ------------------------------------------------------------------------------------------------------

    @torch._disable_dynamo
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters that have gradients, and returns the loss of the closure, if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if has_found_inf(self.__dict__):
            return loss
        for bucket in self._buckets or []:
            if not bucket.is_sent or any(each.sent != each.now() for each in bucket.remotes):
                self._send(bucket)
        scale = self._scale()
        self._up.wait_stream(self._lanes.current_stream(self._device))
        if scale is not None:
            for bucket in self._queue:
                self._step_bucket(bucket, scale)
        self._lanes.current_stream(self._device).wait_stream(self._up)
        for bucket in self._queue:
            bucket.expect_all()
        self._queue = []
        return loss

    def _scale(self) -> float | None:
        """What the gradients are divided by; None where the step is not taken."""
        given = vars(self).get("grad_scale")
        scale = 1.0 if given is None else float(given)
        if not self._measures:
            return scale
        norms = [each.norm for bucket in self._queue for each in bucket.remotes if each.sent is not None]
        self._lanes.current_stream(self._device).wait_stream(self._down)
        total = float(torch.linalg.vector_norm(torch.stack(norms))) if norms else 0.0
        self.last_grad_norm = norm = total / scale
        if not math.isfinite(norm) and self._nonfinite != "propagate":
            self.skipped += 1
            if self._nonfinite == "raise":
                checks.not_finite("", norm)
            return None
        return scale * norm / self._clip_norm if norm > self._clip_norm else scale

    @torch.no_grad()
    def _step_bucket(self, bucket: Bucket, scale: float) -> None:
        bucket.arrived.synchronize()
        bucket.inner.param_groups[0].update({name: each for name, each in bucket.group.items() if name != "params"})
        for each in bucket.remotes:
            each.master.grad = None if each.sent is None else each.grad
        bucket.inner.grad_scale = scale
        bucket.inner.step()
        with self._lanes.stream(self._up):
            for each in bucket.remotes:
                if each.sent is not None:
                    each.param.copy_(each.master if each.copy is None else each.copy, non_blocking=True)

    # -- state dicts ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """As torch's, with the exact weight of each parameter as ``"master"``."""
        self.state.clear()
        for param, remote in self._remote_of.items():
            exact = {MASTER: remote.master.detach()} if remote.copy is not None else {}
            self.state[param] = {**self._bucket_of[param].inner.state.get(remote.master, {}), **exact}
        try:
            return super().state_dict()
        finally:
            self.state.clear()

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Of an optimizer of this class over such parameters, or of torch's: exact weights are the present ones then."""
        groups = state_dict["param_groups"]
        sizes, ours = ([len(group["params"]) for group in each] for each in (groups, self.param_groups))
        if sizes != ours:
            raise ValueError(f"state_dict must have groups of {ours} parameters, got {sizes}")
        for group, saved in zip(self.param_groups, groups, strict=True):
            group.update({name: each for name, each in saved.items() if name != "params"})
        indices = chain.from_iterable(group["params"] for group in groups)
        params = chain.from_iterable(group["params"] for group in self.param_groups)
        for index, param in zip(indices, params, strict=True):
            state = dict(state_dict["state"].get(index, {}))
            remote = self._remote_of[param]
            remote.master.copy_(state.pop(MASTER, param))
            back = remote.master
            if remote.copy is not None:
                back = remote.copy.copy_(remote.master)
            param.copy_(back)
            self._bucket_of[param].inner.state[remote.master] = {
                name: each.detach().to("cpu", copy=True) if isinstance(each, Tensor) else each
                for name, each in state.items()
            }

    def __getstate__(self) -> NoReturn:
        raise TypeError("an Offload has memory of two devices and cannot be copied; save its state_dict()")
