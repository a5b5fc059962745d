"""What all ranks must have alike, in words, and what none of them may have."""

import inspect
import zlib
from typing import Any

import numpy as np

from fusedoptim import _core
from fusedoptim.core import checks, tree
from fusedoptim.core.options import options_to_dict
from fusedoptim.core.storage import is_narrow
from fusedoptim.distributed.agreement import Settings, word
from fusedoptim.distributed.holdings import Holdings, Spec
from fusedoptim.numerics.numbers import shown
from fusedoptim.optim.optimizer import Optimizer
from fusedoptim.optim.parameters import is_group
from fusedoptim.optim.sparse_adam import SparseAdam


def probe(cls: Any, arguments: dict[str, Any]) -> Optimizer:
    """A tiny optimizer of the class, which knows its rule, and refuses arguments."""
    if not (isinstance(cls, type) and issubclass(cls, Optimizer)):
        raise TypeError(f"cls must be a class of optimizers, as fusedoptim.AdamW, got {shown(cls)}")
    if issubclass(cls, SparseAdam):
        raise TypeError("SparseAdam takes gradients of some rows, which ranks do not exchange; take Adam")
    if arguments.get("copy_to") is not None:
        raise TypeError("copy_to is of one process; make the copies from opt.params after each update")
    if arguments.get("accumulate", 1) != 1:
        raise ValueError("accumulate counts the gradients of one process; give minibatches, those of all ranks")
    tiny: Optimizer = cls(np.zeros((1, 1), np.float32), **arguments)
    return tiny


def of_arguments(arguments: dict[str, Any]) -> Settings:
    return {name: word(value) for name, value in arguments.items() if name != "num_threads"}


def of_groups(tiny: Optimizer, specs: list[Spec], grouped: bool, first: int = 0) -> Settings:
    """Of groups whose hyper-parameters a tiny optimizer takes, and whose parameters any does."""
    told: Settings = {}
    paths = []
    for k, spec in enumerate(specs, start=first):
        if not is_group(spec):
            raise TypeError(f'a group must be a dict with the key "params", got {shown(spec)}')
        tiny.add_group({**spec, "params": np.zeros((1, 1), np.float32)})
        told |= {f"groups[{k}].{name}": word(value) for name, value in spec.items() if name != "params"}
        skeleton = tree.skeleton(spec["params"], "params")
        for key, leaf in zip(tree.keys(skeleton), tree.leaves(skeleton, spec["params"], "params"), strict=True):
            path = tree.path((k, *key) if grouped else key)
            _core.check_weight(tiny.rule, leaf, path, frozen=True)
            if is_narrow(leaf):
                raise TypeError(f"params{path} must be float32 or float64 to be cut among ranks, got {leaf.dtype}")
            tiny._storage.check(path, leaf.dtype)
            if tiny.rule == "muon":
                checks.matrix("params" + path, leaf)
            paths.append(path)
            told[f"params{path}"] = f"{leaf.dtype} of shape {leaf.shape}"
            told[f"values of params{path}"] = f"those of CRC {zlib.crc32(leaf.data):08x}"
    return told | {"order of the parameters": f"that of CRC {zlib.crc32(repr(paths).encode()):08x}"}


def of_step(
    inner: Optimizer, minibatch: int, frozen: set[int], grad_scale: float, zero_grads: bool, keywords: dict[str, Any]
) -> Settings:
    """All that a step depends on, as it is now."""
    told: Settings = options_to_dict(inner._options) | keywords
    del told["num_threads"]
    told |= {
        "t": inner.t,
        "skipped": inner.skipped,
        "number of the minibatch": minibatch,
        "grad_scale": checks.number("grad_scale", grad_scale, "positive", otherwise=ValueError),
        "zero_grads": checks.flag("zero_grads", zero_grads),
        "frozen parameters": sorted(frozen),
    }
    names = [*_core.rule_hypers[inner.rule], "l2"]
    for k, group in enumerate(inner.groups):
        values = zip(names, group.at(inner.t + 1, keywords.get("lr")), strict=True)
        told |= {f"{name} of groups[{k}]": value for name, value in values}
    return told


def check_keywords(inner: Optimizer, keywords: dict[str, Any]) -> None:
    """Of a step of its class."""
    if not keywords:
        return
    known = inspect.signature(type(inner).step).parameters.keys() - {"self", "grads"}
    if unknown := keywords.keys() - known:
        checks.unknown_keyword(min(unknown), "for step", sorted(known), "help(fusedoptim.distributed.Sharded.step)")
    if keywords.get("lr") is not None:
        checks.rate(inner.rule, keywords["lr"])


def check_grads(holdings: Holdings, frozen: set[int], grads: Any) -> None:
    for index, (own, given) in enumerate(zip(holdings.grads, holdings.leaves(grads, "grads"), strict=True)):
        if given is own or index in frozen:
            continue
        path = holdings.paths[index]
        if not isinstance(given, np.ndarray):
            checks.not_an_array(f"grads{path}", given, False)
        if given.dtype != own.dtype:
            checks.other_dtype(f"grads{path}", given, f"params{path}", own)
        if given.shape != own.shape:
            checks.other_shape(f"grads{path}", given, f"params{path}", own, "weight")
