import math
from typing import Any

from fusedoptim.core.checks import flag
from fusedoptim.core.groups import Hyper
from fusedoptim.core.nest import N
from fusedoptim.numerics.elementary import power
from fusedoptim.optim.optimizer import Optimizer


class CorrectedRate(Optimizer[N]):
    """Optimizers whose bias corrections may go into the learning rate, which adds `eps` before them."""

    def __init__(self, params: Any, arguments: Hyper, *, eps_before_correction: bool, **others: Any) -> None:
        if flag("eps_before_correction", eps_before_correction):
            # Saved with the counts: what was trained in one way does not go on in the other.
            object.__setattr__(self, "carried", {"eps_before_correction": 1.0})
        super().__init__(params, arguments, **others)

    @classmethod
    def carry(cls, t: int, hyper: Hyper, carried: dict[str, float]) -> tuple[Hyper, dict[str, float]]:
        if hyper.get("t") == math.inf:
            return {}, carried
        root, rest = math.sqrt(1 - power(hyper["beta2"], t)), 1 - power(hyper["beta1"], t)
        decay = hyper.get("weight_decay", 0.0) * rest / root  # is multiplied by the rate
        return {"lr": hyper["lr"] * root / rest, "t": math.inf, "weight_decay": decay}, carried
