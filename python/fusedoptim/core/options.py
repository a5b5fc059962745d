"""The keywords that every optimizer takes."""

from typing import Any, TypedDict

from fusedoptim import _core
from fusedoptim.core.checks import flag, number, one_of, thread_count, whole


class Common(TypedDict, total=False):
    """Keywords that every optimizer takes. They hold for all groups.

    Parameters
    ----------
    accumulate : int, default 1
        Number M of minibatches whose gradients are averaged into one update: calls 1 … M−1 of
        :meth:`~fusedoptim.Optimizer.step` add up, call M updates with the mean.
    clip_norm : float, optional
        The gradients of all groups together are multiplied by ``min(1, clip_norm / norm)``. They are not written: the
        scale goes into the update.
    clip_value : float, optional
        Each element of the gradient is clipped to [−clip_value, clip_value], after `clip_norm` and before the L2 penalty.
    ema : float in [0, 1), optional
        Decay of a running average of the weights, ``ema ← decay·ema + (1 − decay)·w`` after each update, kept in
        ``state["ema"]`` and used by :meth:`~fusedoptim.Optimizer.using_ema`. It begins at the weights as they are when the optimizer
        is made.
    maximize : bool, default False
        Ascend instead of descend: the gradient changes its sign, the decay of the weights does not.
    nonfinite : {"propagate", "skip", "raise"}, default "propagate"
        What to do where a gradient is infinite or NaN, or the norm overflows float64: update all the same; do not take
        the step, and count it in ``skipped``; or the same with a :class:`FloatingPointError`.
    num_threads : int, optional
        Threads of a step; default :func:`fusedoptim.get_num_threads`.

    Raises
    ------
    TypeError, ValueError
        where a keyword is unknown or outside its domain.
    """

    accumulate: int
    clip_norm: float | None
    clip_value: float | None
    ema: float | None
    maximize: bool
    nonfinite: str
    num_threads: int | None


def make_options(
    accumulate: int = 1,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    ema: float | None = None,
    maximize: bool = False,
    nonfinite: str = "propagate",
    num_threads: int | None = None,
) -> _core.Options:
    """The common keywords, checked."""
    options = _core.new_options()
    options.accumulate = whole("accumulate", accumulate, bits=31)
    for name, limit in ("clip_norm", clip_norm), ("clip_value", clip_value):
        if limit is not None:
            setattr(options, name, number(name, limit, "limit", otherwise=ValueError, besides=", or None"))
    if ema is not None:
        options.keeps_ema = True
        options.ema = number("ema", ema, "unit", otherwise=ValueError, besides=", or None")
    options.require_finite = one_of("nonfinite", nonfinite, ("propagate", "skip", "raise")) != "propagate"
    options.raise_nonfinite = nonfinite == "raise"
    options.maximize = flag("maximize", maximize)
    options.num_threads = 0 if num_threads is None else thread_count("num_threads", num_threads)
    return options


def options_to_dict(options: _core.Options) -> dict[str, Any]:
    return {name: getattr(options, name) for name in vars(_core.Options) if not name.startswith("_")}


def options_from_dict(saved: dict[str, Any]) -> _core.Options:
    options = _core.new_options()
    for name, value in saved.items():
        setattr(options, name, value)
    return options
