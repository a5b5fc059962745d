"""Tensors of torch as arrays of NumPy, over the same memory.

Not by `.numpy()`, which makes the storage of a parameter non-resizable for good.
"""

import ctypes
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fusedoptim import _core
from fusedoptim.core.row_grad import RowGrad
from fusedoptim.core.storage import Array
from fusedoptim.numerics.formats import BFLOAT16

DTYPES: dict[torch.dtype, np.dtype[Any]] = {
    torch.float32: np.dtype(np.float32),
    torch.float64: np.dtype(np.float64),
    torch.float16: np.dtype(np.float16),
    torch.bfloat16: BFLOAT16,
    torch.int16: np.dtype(np.int16),
    torch.uint8: np.dtype(np.uint8),
}
STEPPED = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
# As DLPack numbers them.
CODES = {torch.float32: (2, 32), torch.float64: (2, 64), torch.float16: (2, 16), torch.bfloat16: (4, 16)}

_core.know_torch(getattr(Tensor, "__dlpack_c_exchange_api__", None), CODES)


def array_of(tensor: Tensor, *, shaped: bool) -> Array:
    """The memory of a dense tensor: in its shape, which must be contiguous then, or as a vector."""
    dtype, shape = DTYPES[tensor.dtype], tuple(tensor.shape) if shaped else (tensor.numel(),)
    if tensor.numel() == 0:
        return np.empty(shape, dtype)
    memory = (ctypes.c_char * (tensor.numel() * dtype.itemsize)).from_address(tensor.data_ptr())
    return np.frombuffer(memory, dtype).reshape(shape)


def tensor_of(array: Array) -> Tensor:
    """The same memory, where it is not a parameter's."""
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def set_all(tensors: list[Tensor], values: list[Tensor]) -> None:
    """In one call, which no interrupt leaves half done."""
    if tensors:
        torch._foreach_copy_(tensors, values)


def is_dense(tensor: Tensor) -> bool:
    """Whether its elements fill their memory without overlap or gap."""
    return torch.empty_like(tensor, device="meta").stride() == tensor.stride()


def is_sharded(tensor: Tensor) -> bool:
    return hasattr(tensor, "to_local")  # a DTensor, whose module takes long to import


def plain(tensor: Tensor) -> Tensor:
    """The tensor of real numbers in this process that a step sees: the shard of a DTensor, complex numbers as pairs."""
    if is_sharded(tensor):
        tensor = tensor.to_local()
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def row_grad(grad: Tensor, dtype: torch.dtype) -> RowGrad:
    """A sparse gradient, whose rows may come more than once."""
    if grad.sparse_dim() != 1:
        grad = grad.to_dense().to_sparse(1)
    rows, values = grad._indices()[0].contiguous(), grad._values().to(dtype).contiguous()
    return RowGrad(rows.numpy(), values.numpy())
