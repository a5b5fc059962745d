"""What is stepped in the place of a parameter that what is compiled cannot read as it is."""

import torch
from torch import Tensor

from fusedoptim import _core
from fusedoptim.torch.memory import is_dense, is_sharded, plain

NARROW = (torch.bfloat16, torch.float16)


def takes(dtype: torch.dtype, rule: str) -> bool:
    """Whether a rule takes weights of so many bits."""
    return dtype not in NARROW or rule in _core.narrow_states


def fits(grad: Tensor, weight: Tensor, rule: str) -> bool:
    """Whether a gradient of real numbers can be read where it lies."""
    narrow = grad.dtype in NARROW and weight.dtype != torch.float64 and rule in _core.narrow_states
    same = grad.dtype == weight.dtype or narrow
    return same and grad.stride() == weight.stride() and not grad.is_neg()


def is_readable(param: Tensor, rule: str, *, shaped: bool) -> bool:
    """Whether parameter and gradient can be read as they are."""
    grad = param.grad
    if is_sharded(param) or param.is_complex() or grad is None or grad.is_sparse or not takes(param.dtype, rule):
        return False
    return fits(grad, param, rule) and (param.is_contiguous() if shaped else is_dense(param))


class StandIn:
    """A tensor over the memory of the parameter, with a gradient that lies as it does.

    It is a copy where that memory is not dense, or of 16 bits which the rule does not take, and then of float32.
    """

    def __init__(self, param: Tensor, rule: str, *, shaped: bool) -> None:
        source = plain(param.detach())
        self._dtype = source.dtype
        is_taken = takes(source.dtype, rule)
        self._copies = not is_taken or not (source.is_contiguous() if shaped else is_dense(source))
        self.tensor = source
        if self._copies:
            dtype = source.dtype if is_taken else torch.float32
            self.tensor = source.to(dtype, copy=True, memory_format=torch.contiguous_format)
        self._param, self._rule = param, rule
        self._own_grad: Tensor | None = None

    def bring(self) -> bool:
        """Takes over weight and gradient; False where they are not of this tensor any more."""
        source, grad = plain(self._param.detach()), self._param.grad
        if grad is None or source.shape != self.tensor.shape or source.dtype != self._dtype:
            return False
        if self._copies:
            self.tensor.copy_(source)
        elif source.data_ptr() != self.tensor.data_ptr() or source.stride() != self.tensor.stride():
            return False
        if not grad.is_sparse:
            self.tensor.grad = self._laid_out(plain(grad.detach()))
        return True

    def _laid_out(self, grad: Tensor) -> Tensor:
        if grad.dtype == self.tensor.dtype and fits(grad, self.tensor, self._rule):
            return grad
        if self._own_grad is None:
            self._own_grad = torch.empty_like(self.tensor)
        return self._own_grad.copy_(grad)

    def take_back(self) -> None:
        if self._copies:
            plain(self._param.detach()).copy_(self.tensor)
