"""The keywords that every optimizer takes."""

import math
from collections.abc import Mapping
from typing import Any, TypedDict

from fusedoptim import _core
from fusedoptim.core.checks import flag, number, one_of, thread_count, whole


class Common(TypedDict, total=False):
    """Keywords that every optimizer takes. They hold for all groups, and are attributes too, to be read and set between two steps.

    Parameters
    ----------
    accumulate : int, default 1
        Number M of minibatches whose gradients are averaged into one update: calls 1 … M−1 of
        :meth:`~fusedoptim.Optimizer.step` add up, call M updates with the mean.
    clip_norm : float, optional
        The gradients of all groups together are multiplied by ``min(1, clip_norm / norm)``. They are not written: the
        scale goes into the update. Infinity clips nothing, and measures the norm.
    clip_value : float, optional
        Each element of the gradient is clipped to [−clip_value, clip_value], after `clip_norm` and before the L2 penalty.
    ema : float in [0, 1), optional
        Decay of a running average of the weights, ``ema ← ema + (1 − decay)/(1 − decayᵗ)·(w − ema)`` after update t, kept in
        ``state["ema"]`` and used by :meth:`~fusedoptim.Optimizer.using_ema`.
    ema_bias_correction : bool, default True
        The division by ``1 − decayᵗ``, with which the average is that of the weights after each update so far, from the first on.
        False leaves it out: the average then begins at the weights as they are at their first step, and is near them
        for some ``1/(1 − decay)`` updates.
    maximize : bool, default False
        Ascend instead of descend: the gradient changes its sign, the decay of the weights does not.
    nonfinite : {"propagate", "skip", "raise"}, default "propagate"
        What to do where a gradient is infinite or NaN, or the norm overflows float64: update all the same; do not take
        the step, and count it in ``skipped``; or the same with a :class:`FloatingPointError`.
    num_threads : int, optional
        Threads of a step; default :func:`fusedoptim.get_num_threads`.
    state_dtype : {"float32", "bfloat16", "float8"} or dict of them by name, optional
        What running averages are kept in, all that may be: 16 bits, rounded at random, or 8 bits and a scale for every 256.
        Computed is in float32 all the same. Counts, maxima and sums stay exact, and by default all do. See
        :doc:`/narrow`.
    rounding : {"split", "stochastic", "nearest"}, optional
        Of weights of 16 bits. "split", the default for bfloat16, keeps the other 16 bits of an exact float32 in
        ``state["w_low"]``: nothing is lost. "stochastic", the default for float16, rounds up or down at random, right in
        the mean. "nearest" loses each change that is less than half a unit: training stagnates.
    copy_to : nest as `params`, optional
        Arrays of 16 bits, or None for some, into which float32 weights are copied, rounded to nearest, in the pass that
        updates them; and where the optimizer is made, and loads.
    seed : int, default 0
        Of what is rounded at random, with the step, the tensor and the element: the same for any number of threads.

    Raises
    ------
    TypeError, ValueError
        where a keyword is unknown or outside its domain.
    """

    accumulate: int
    clip_norm: float | None
    clip_value: float | None
    ema: float | None
    ema_bias_correction: bool
    maximize: bool
    nonfinite: str
    num_threads: int | None
    state_dtype: str | Mapping[str, str] | None
    rounding: str | None
    copy_to: Any
    seed: int


def make_options(
    accumulate: int = 1,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    ema: float | None = None,
    ema_bias_correction: bool = True,
    maximize: bool = False,
    nonfinite: str = "propagate",
    num_threads: int | None = None,
    seed: int = 0,
) -> _core.Options:
    """The common keywords, checked; those of the storage are checked in storage.py."""
    options = _core.new_options()
    options.accumulate = whole("accumulate", accumulate, bits=31)
    set_clip_norm(options, clip_norm)
    set_clip_value(options, clip_value)
    if ema is not None:
        options.keeps_ema = True
        set_ema(options, ema)
    options.corrects_ema = flag("ema_bias_correction", ema_bias_correction)
    set_nonfinite(options, nonfinite)
    options.maximize = flag("maximize", maximize)
    set_num_threads(options, num_threads)
    options.seed = whole("seed", seed, least=0, bits=64, otherwise=TypeError)
    return options


def set_clip_norm(options: _core.Options, limit: float | None) -> None:
    options.clip_norm = _limit("clip_norm", limit)
    options.measures_norm = limit is not None


def set_clip_value(options: _core.Options, limit: float | None) -> None:
    options.clip_value = _limit("clip_value", limit)


def set_ema(options: _core.Options, decay: float) -> None:
    options.ema = number("ema", decay, "unit", otherwise=ValueError, besides=", or None")


def set_nonfinite(options: _core.Options, what: str) -> None:
    options.require_finite = one_of("nonfinite", what, ("propagate", "skip", "raise")) != "propagate"
    options.raise_nonfinite = what == "raise"


def set_num_threads(options: _core.Options, n: int | None) -> None:
    options.num_threads = 0 if n is None else thread_count("num_threads", n)


def _limit(name: str, limit: float | None) -> float:
    return math.inf if limit is None else number(name, limit, "limit", otherwise=ValueError, besides=", or None")


def options_to_dict(options: _core.Options) -> dict[str, Any]:
    return {name: getattr(options, name) for name in vars(_core.Options) if not name.startswith("_")}


def options_from_dict(saved: dict[str, Any]) -> _core.Options:
    options = _core.new_options()
    for name, value in saved.items():
        setattr(options, name, value)
    return options
