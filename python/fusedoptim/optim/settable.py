"""The common keywords as attributes of an optimizer, which can be read and set between two steps."""

import math
from collections.abc import Callable
from typing import Any

from fusedoptim import _core
from fusedoptim.core import checks
from fusedoptim.core.lock import Turn
from fusedoptim.core.options import set_clip_norm, set_clip_value, set_ema, set_nonfinite, set_num_threads
from fusedoptim.core.storage import Storage

FIXED = ("state_dtype", "rounding", "copy_to", "seed")


class Settable:
    """What the class :class:`Optimizer` has of :class:`~fusedoptim.Common`, whose words these are."""

    _options: _core.Options
    _storage: Storage
    _copy_to: Any
    _turn: Turn
    _refuse_amid: Callable[[str], None]

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and not isinstance(getattr(type(self), name, None), property):
            checks.no_attribute(self, name)
        if name in FIXED:
            raise AttributeError(f"{name} is given where the optimizer is made, and stays; make another", name=name)
        object.__setattr__(self, name, value)

    @property
    def clip_norm(self) -> float | None:
        return self._options.clip_norm if self._options.measures_norm else None

    @clip_norm.setter
    def clip_norm(self, limit: float | None) -> None:
        with self._turn():
            self._refuse_amid("set clip_norm")
            set_clip_norm(self._options, limit)

    @property
    def clip_value(self) -> float | None:
        limit = self._options.clip_value
        return limit if limit < math.inf else None

    @clip_value.setter
    def clip_value(self, limit: float | None) -> None:
        with self._turn():
            set_clip_value(self._options, limit)

    @property
    def nonfinite(self) -> str:
        if not self._options.require_finite:
            return "propagate"
        return "raise" if self._options.raise_nonfinite else "skip"

    @nonfinite.setter
    def nonfinite(self, what: str) -> None:
        with self._turn():
            self._refuse_amid("set nonfinite")
            set_nonfinite(self._options, what)

    @property
    def ema(self) -> float | None:
        return self._options.ema if self._options.keeps_ema else None

    @ema.setter
    def ema(self, decay: float) -> None:
        if not self._options.keeps_ema or decay is None:
            raise ValueError(f"ema must be given where the optimizer is made, and stays then; got {decay!r}")
        with self._turn():
            set_ema(self._options, decay)

    @property
    def ema_bias_correction(self) -> bool:
        return self._options.corrects_ema

    @ema_bias_correction.setter
    def ema_bias_correction(self, corrects: bool) -> None:
        with self._turn():
            self._options.corrects_ema = checks.flag("ema_bias_correction", corrects)

    @property
    def maximize(self) -> bool:
        return self._options.maximize

    @maximize.setter
    def maximize(self, maximize: bool) -> None:
        with self._turn():
            self._options.maximize = checks.flag("maximize", maximize)

    @property
    def state_dtype(self) -> dict[str, str]:
        """The dtypes of the states that are narrow, by name."""
        return dict(self._storage.states)

    @property
    def rounding(self) -> str | None:
        return self._storage.rounding

    @property
    def copy_to(self) -> Any:
        return self._copy_to

    @property
    def seed(self) -> int:
        return self._options.seed

    @property
    def num_threads(self) -> int | None:
        return self._options.num_threads or None

    @num_threads.setter
    def num_threads(self, n: int | None) -> None:
        with self._turn():
            set_num_threads(self._options, n)
