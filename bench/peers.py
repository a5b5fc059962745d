"""Who steps: each competitor is made from weights and gradients in NumPy arrays, and does Adam or AdamW as users do.

Ours, NumPy and numba work on these very arrays. A peer's package is imported when it is made.
"""

import math
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

import fusedoptim as fo
from fusedoptim import reference
from fusedoptim.cli.bench import inplace
from fusedoptim.cli.bench.inplace import BETA1, BETA2, EPS
from fusedoptim.reference import Array
from models import Variant

LR = 0.1  # so large that a wrong decay and a wrong average show after a few steps


class Competitor:
    """One way to step. `grads` are the arrays it reads, none where they cannot be written."""

    needs: ClassVar[str | None] = None  # a package
    step: Callable[[], Any]
    result: Callable[[], tuple[list[Array], list[Array]]]  # the weights, and their average where one is kept

    def __init__(self, weights: list[Array], grads: list[Array], variant: Variant) -> None:
        self.weights, self.grads, self.variant = weights, grads, variant
        self.prepare()

    def prepare(self) -> None: ...

    def load(self, grads: list[Array]) -> None:
        """Takes new gradients."""
        for own, grad in zip(self.grads, grads, strict=True):
            if own is not grad:
                np.copyto(own, grad)

    def norm(self) -> float | None:
        """Of all gradients, if it clips by a less than exact one."""
        return None


class Ours(Competitor):
    def prepare(self) -> None:
        v = self.variant
        optimizer = v.pick(fo.Adam, fo.AdamW)
        average = {"ema": v.ema, "ema_bias_correction": False}  # as others have it
        self.opt: fo.Optimizer = optimizer(self.weights, LR, clip_norm=v.clip, **average)
        self.step = partial(self.opt.step, self.grads, zero_grads=v.zero)

    def result(self) -> tuple[list[Array], list[Array]]:
        return self.weights, self.opt.state.get("ema", [])


class Bound(Ours):
    def prepare(self) -> None:
        super().prepare()
        self.opt.bind(self.grads)
        self.step = partial(self.opt.step, zero_grads=self.variant.zero)


class Arena(Ours):
    def prepare(self) -> None:
        self.weights, self.grads = fo.arena(self.weights), fo.arena(self.grads, slot=1)
        super().prepare()


class _NumPy(Competitor):
    rules: ClassVar[Any] = reference

    def prepare(self) -> None:
        self.t, self.adam = 0, self.variant.pick(self.rules.adam, self.rules.adamw)
        self.m, self.v = [[np.zeros_like(w) for w in self.weights] for _ in range(2)]
        self.ema = [w.copy() for w in self.weights if self.variant.ema is not None]

    def result(self) -> tuple[list[Array], list[Array]]:
        return self.weights, self.ema

    def clip_scale(self, square_norm: float) -> float:
        return min(1.0, (self.variant.clip or math.inf) / math.sqrt(square_norm)) if square_norm > 0 else 1.0


class Textbook(_NumPy):
    def step(self) -> None:
        self.t += 1
        variant, grads = self.variant, self.grads
        if variant.clip is not None:
            scale = self.clip_scale(sum(float(np.sum(g**2)) for g in grads))
            grads = [scale * g for g in grads]
        for w, g, m, v in zip(self.weights, grads, self.m, self.v, strict=True):
            self.adam(w, g, m, v, lr=LR, t=self.t)
        if variant.ema is not None:
            for ema, w in zip(self.ema, self.weights, strict=True):
                reference.average(ema, w, decay=variant.ema)
        if variant.zero:
            for g in self.grads:
                g[...] = 0


class InPlace(_NumPy):
    rules = inplace

    def prepare(self) -> None:
        super().prepare()
        a, b = np.empty((2, max(w.size for w in self.weights)), np.float32)
        self.scratch = [(a[: w.size].reshape(w.shape), b[: w.size].reshape(w.shape)) for w in self.weights]

    def step(self) -> None:
        self.t += 1
        variant = self.variant
        scale = self.clip_scale(sum(float(np.vdot(g, g)) for g in self.grads)) if variant.clip is not None else 1.0
        for k, (w, g, m, v) in enumerate(zip(self.weights, self.grads, self.m, self.v, strict=True)):
            a, b = self.scratch[k]
            if variant.clip is not None:
                np.multiply(g, scale, out=g)
            self.adam(w, g, m, v, a, b, lr=LR, t=self.t)
            if variant.ema is not None:
                np.subtract(w, self.ema[k], out=a)
                np.multiply(a, 1 - variant.ema, out=a)
                np.add(self.ema[k], a, out=self.ema[k])
            if variant.zero:
                g.fill(0)


@cache
def _numba() -> SimpleNamespace:
    """Two loops and the sum of squares, each in a serial and a parallel form."""
    from numba import njit, prange

    def adam(w, g, m, v, scale, rates):  # type: ignore[no-untyped-def]
        lr, unbias, eps, beta1, rest1, beta2, rest2, _, _, _ = rates
        for i in prange(w.size):
            x = scale * g[i]
            m[i] = beta1 * m[i] + rest1 * x
            v[i] = beta2 * v[i] + rest2 * (x * x)
            w[i] -= lr * m[i] / (np.sqrt(unbias * v[i]) + eps)

    def full(w, g, m, v, ema, scale, rates):  # type: ignore[no-untyped-def]
        lr, unbias, eps, beta1, rest1, beta2, rest2, keep, decay, rest = rates
        for i in prange(w.size):
            x = scale * g[i]
            m[i] = beta1 * m[i] + rest1 * x
            v[i] = beta2 * v[i] + rest2 * (x * x)
            w[i] = keep * w[i] - lr * m[i] / (np.sqrt(unbias * v[i]) + eps)
            ema[i] = decay * ema[i] + rest * w[i]
            g[i] = 0

    def squares(g):  # type: ignore[no-untyped-def]
        total = np.float32(0)
        for i in prange(g.size):
            total += g[i] * g[i]
        return total

    def both(loop: Callable[..., Any], **options: Any) -> tuple[Any, Any]:
        # Without the error model of NumPy, a test for a division by zero keeps the loop scalar.
        return tuple(njit(loop, error_model="numpy", parallel=parallel, **options) for parallel in (False, True))

    # A sum in the order of the elements would not be vectorised; nothing else is reordered.
    return SimpleNamespace(adam=both(adam), full=both(full), squares=both(squares, fastmath={"reassoc"}))


class Numba(_NumPy):
    needs = "numba"
    SERIAL = 2**15  # elements, up to which the loop without threads is the faster one

    def prepare(self) -> None:
        super().prepare()
        kernels = _numba()
        arrays = [self.weights, self.grads, self.m, self.v] + [self.ema] * bool(self.ema)
        loop = kernels.full if self.variant.zero else kernels.adam
        self.loops, self.squares = [], []
        for each in zip(*arrays, strict=True):
            flat = [array.reshape(-1) for array in each]
            parallel = flat[0].size > self.SERIAL
            self.loops.append(partial(loop[parallel], *flat))
            self.squares.append(partial(kernels.squares[parallel], flat[1]))

    def step(self) -> None:
        self.t += 1
        v = self.variant
        scale = self.clip_scale(sum(square() for square in self.squares)) if v.clip is not None else 1.0
        lr, unbias = LR / (1 - BETA1**self.t), 1 / (1 - BETA2**self.t)
        keep, decay = 1 - LR * (v.decay or 0), v.ema or 0
        rates = (lr, unbias, EPS, BETA1, 1 - BETA1, BETA2, 1 - BETA2, keep, decay, 1 - decay)
        rates, scale = tuple(map(np.float32, rates)), np.float32(scale)
        for loop in self.loops:
            loop(scale, rates)


class Torch(Competitor):
    """The idiom of a training loop: clip_grad_norm_, step, lerp of the average, zero_grad.

    On tensors of its own, which are better aligned: on a NumPy array's memory it is slower by up to a fifth.
    """

    needs = "torch"
    options: ClassVar[dict[str, Any]] = {}

    def prepare(self) -> None:
        import torch

        self.params = [torch.from_numpy(w).clone().requires_grad_() for w in self.weights]
        for p, grad in zip(self.params, self.grads, strict=True):
            p.grad = torch.from_numpy(grad).clone()
        self.weights = [p.detach().numpy() for p in self.params]
        self.grads = [p.grad.numpy() for p in self.params]
        self.ema = [p.detach().clone() for p in self.params if self.variant.ema is not None]
        clip, ema, zero = self.variant.clip, self.variant.ema, self.variant.zero
        opt, params, averages = self.optimizer(), self.params, self.ema

        def step() -> None:
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(params, clip)
            opt.step()
            if ema is not None:
                with torch.no_grad():
                    torch._foreach_lerp_(averages, params, 1 - ema)
            if zero:
                opt.zero_grad(set_to_none=False)

        self.step = self.wrap(step)

    def optimizer(self) -> Any:
        from torch.optim import Adam, AdamW

        return self.variant.pick(Adam, AdamW)(self.params, LR, **self.options)

    def wrap(self, step: Callable[[], None]) -> Callable[[], None]:
        return step

    def result(self) -> tuple[list[Array], list[Array]]:
        return self.weights, [ema.numpy() for ema in self.ema]

    def norm(self) -> float | None:
        """Added up in float32, which for tens of millions of elements is wrong by some tenths of a percent."""
        from torch.nn.utils import get_total_norm

        return float(get_total_norm([p.grad for p in self.params]))


class TorchFused(Torch):
    options: ClassVar[dict[str, Any]] = {"fused": True}


class TorchForeach(Torch):
    options: ClassVar[dict[str, Any]] = {"foreach": True}


class TorchCompiled(Torch):
    """All of the step in one compiled function."""

    options: ClassVar[dict[str, Any]] = {"foreach": True}

    def wrap(self, step: Callable[[], None]) -> Callable[[], None]:
        import torch

        torch._dynamo.reset()  # else the eighth of these is silently not compiled
        return torch.compile(step)

    def norm(self) -> float | None:
        return None


class DeepSpeed(Torch):
    needs = "deepspeed"

    def optimizer(self) -> Any:
        from deepspeed.ops.adam import DeepSpeedCPUAdam

        decay = self.variant.decay
        return DeepSpeedCPUAdam(self.params, LR, weight_decay=decay or 0, adamw_mode=decay is not None)


class Optax(Competitor):
    """Under jit, with donated buffers. JAX's gradients are fresh arrays: there is nothing to zero."""

    needs = "optax"

    def prepare(self) -> None:
        import jax
        import optax

        v = self.variant
        rule = v.pick(optax.adam, optax.adamw)(LR)
        chain = optax.chain(optax.clip_by_global_norm(v.clip), rule) if v.clip is not None else rule

        @partial(jax.jit, donate_argnums=(0, 1, 2))
        def update(params: Any, state: Any, ema: Any, grads: Any) -> Any:
            updates, state = chain.update(grads, state, params)
            params = optax.apply_updates(params, updates)
            return params, state, ema and optax.incremental_update(params, ema, 1 - v.ema)

        self.load(self.grads)
        params = [jax.numpy.array(w) for w in self.weights]
        ema = [jax.numpy.array(w) for w in self.weights if v.ema is not None]
        self.kept = params, jax.jit(chain.init)(params), ema
        self.weights, self.grads, self.update, self.wait = [], [], update, jax.block_until_ready

    def load(self, grads: list[Array]) -> None:
        import jax

        self.on_device = [jax.numpy.array(g) for g in grads]

    def step(self) -> None:
        self.kept = self.wait(self.update(*self.kept, self.on_device))

    def result(self) -> tuple[list[Array], list[Array]]:
        params, _, ema = self.kept
        return [np.asarray(p) for p in params], [np.asarray(e) for e in ema]


OURS: dict[str, type[Competitor]] = {"ours": Ours, "ours bound": Bound, "ours arena": Arena}
PEERS: dict[str, type[Competitor]] = {
    "numpy-textbook": Textbook,
    "numpy-inplace": InPlace,
    "numba": Numba,
    "torch-fused": TorchFused,
    "torch-foreach": TorchForeach,
    "torch-compiled": TorchCompiled,
    "deepspeed": DeepSpeed,
    "optax": Optax,
}


def missing(peer: str) -> str | None:
    """The package that a peer lacks here."""
    needs = PEERS[peer].needs
    return needs if needs is not None and find_spec(needs) is None else None
