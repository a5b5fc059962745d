"""What the classes of torch.optim are to a step: their rules, hyper-parameters and states by the names of both."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from types import MappingProxyType
from typing import Any

import torch

from fusedoptim import _core
from fusedoptim.core.groups import Hyper
from fusedoptim.core.storage import Array
from fusedoptim.numerics.elementary import power
from fusedoptim.numerics.newton_schulz import size
from fusedoptim.optim import SparseAdam
from fusedoptim.saved.torch_state import COUNTERPARTS

Group = Mapping[str, Any]  # of `param_groups`

# Of a group of torch's, where the name is not the same.
HYPER: dict[str, Callable[[Group], Any]] = {
    "beta1": lambda group: group["betas"][0],
    "beta2": lambda group: group["betas"][1],
    "beta": itemgetter("alpha"),
    "eps_root": lambda group: 0.0,
    "eta_minus": lambda group: group["etas"][0],
    "eta_plus": lambda group: group["etas"][1],
    "step_min": lambda group: group["step_sizes"][0],
    "step_max": lambda group: group["step_sizes"][1],
    "mu_decay": lambda group: power(0.96, group["momentum_decay"]),
    "eps1": lambda group: math.inf if group["eps"][0] is None else group["eps"][0],
    "eps2": lambda group: group["eps"][1],
    "slowdown": lambda group: 1.0,
    "mu": lambda group: 1.0,
    "mu_product": lambda group: 1.0,
    "l2": lambda group: group.get("weight_decay", 0.0),
}


class Rules:
    """Of one class: the first rule that fits a group is that of its parameters."""

    counts: bool = True  # whether torch keeps a count of steps for each parameter
    carried: Mapping[str, str] = MappingProxyType(
        {}
    )  # numbers of a parameter that change from step to step, in torch's words
    precision: torch.dtype | None = None  # of them, or the default
    moves: bool = False  # whether hyper-parameters depend on the steps that a parameter has taken
    noise: str | None = None  # a state that is drawn for each step
    takes_sparse: bool = False
    needs_sparse: bool = False

    def __init__(self, *rules: str) -> None:
        self.rules = rules

    def rule(self, group: Group) -> str:
        for rule in self.rules:
            other = COUNTERPARTS[rule]
            if all(group.get(name, value) == value for name, value in (other.fixed | other.marks).items()):
                return rule
        raise ValueError(f"there is no such combination of arguments: {dict(group, params='…')}")

    def hyper(self, rule: str, group: Group) -> Hyper:
        """All that the rule takes, but for t, and `l2` where it has no decay of its own."""
        names = [name for name in _core.rule_hypers[rule] if name != "t"]
        names += ["l2"] if "weight_decay" not in names else []
        return {name: HYPER.get(name, itemgetter(name))(group) for name in names}

    def kind(self, group: Group) -> tuple[Any, ...]:
        """By which parameters are stepped together: their rule, and what a plan has once for all of them."""
        return (self.rule(group),)

    def slots(self, group: Group) -> int:
        """Of a ring."""
        return 1

    def direction(self, group: Group) -> Callable[..., Any] | None:
        """What the weights step along, of a rule that leaves it to matrix products."""
        return None

    def states(self, rule: str, n_axes: int) -> dict[str, str | None]:
        """What torch calls the states of the rule; None is one that it does not have."""
        other = COUNTERPARTS[rule]
        theirs = other.states if other.of_vectors is None or n_axes > 1 else other.of_vectors
        return {name: theirs.get(name) for name, _ in _core.rule_states[rule]}

    def initial(self, name: str, group: Group) -> Any:
        """The first value of a state, or of what is carried, by our name."""
        return 0.0

    def carry(self, t: int, hyper: Hyper, group: Group, carried: dict[str, float]) -> tuple[Hyper, dict[str, float]]:
        """Hyper-parameters of step t, where they move, and what is carried on."""
        return {}, carried

    def refuse_sparse(self, name: str, group: Group) -> None:
        """Refuses a sparse gradient where the class takes none, in torch's words."""
        if not self.takes_sparse:
            besides = ", please consider SparseAdam instead" if name in ("Adam", "AdamW") else ""
            raise RuntimeError(f"{name} does not support sparse gradients{besides}")
        if group.get("weight_decay", 0) != 0:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")


class OfSGD(Rules):
    counts = False
    takes_sparse = True

    def rule(self, group: Group) -> str:
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        return super().rule(group)

    def refuse_sparse(self, name: str, group: Group) -> None:
        super().refuse_sparse(name, group)
        if group["momentum"] != 0:
            raise RuntimeError(
                "SGD with momentum takes no sparse gradient here: torch's moves all rows that it has ever seen. "
                "Set momentum=0, take SparseAdam, or make the gradient dense with sparse=False"
            )


class OfAdagrad(Rules):
    takes_sparse = True

    def initial(self, name: str, group: Group) -> Any:
        return group["initial_accumulator_value"]


class OfRprop(Rules):
    def initial(self, name: str, group: Group) -> Any:
        return float(group["lr"]) if name == "step" else 0.0


class OfNAdam(Rules):
    carried = MappingProxyType({"mu_product": "mu_product"})
    moves = True

    def initial(self, name: str, group: Group) -> Any:
        return 1.0 if name == "mu_product" else 0.0

    def carry(self, t: int, hyper: Hyper, group: Group, carried: dict[str, float]) -> tuple[Hyper, dict[str, float]]:
        mu = hyper["beta1"] * (1 - 0.5 * power(hyper["mu_decay"], t))
        product = float(
            torch.tensor(carried["mu_product"]) * mu
        )  # rounded as torch does, a number of its default dtype
        return {"mu_product": product / mu if mu > 0 else 1.0}, {"mu_product": product}


class OfASGD(Rules):
    """The rate of a step, and the weight of its average, are made in the one before."""

    carried = MappingProxyType({"eta": "eta", "mu": "mu"})
    moves = True

    def initial(self, name: str, group: Group) -> Any:
        return {"eta": float(group["lr"]), "mu": 1.0}.get(name, 0.0)

    def carry(self, t: int, hyper: Hyper, group: Group, carried: dict[str, float]) -> tuple[Hyper, dict[str, float]]:
        after = {
            "eta": hyper["lr"] / (1 + hyper["lambd"] * hyper["lr"] * t) ** group["alpha"],
            "mu": 1 / max(1, t - group["t0"]),
        }
        return {"lr": carried["eta"], "mu": carried["mu"]}, after


class OfSparseAdam(Rules):
    moves = True
    takes_sparse = True
    needs_sparse = True

    def rule(self, group: Group) -> str:
        return "adam"

    def carry(self, t: int, hyper: Hyper, group: Group, carried: dict[str, float]) -> tuple[Hyper, dict[str, float]]:
        return SparseAdam.carry(t, hyper, carried)


class OfMuon(Rules):
    counts = False

    def kind(self, group: Group) -> tuple[Any, ...]:
        names = ("nesterov", "ns_coefficients", "ns_steps", "eps", "adjust_lr_fn")
        return "muon", *(group[name] for name in names)

    def direction(self, group: Group) -> Callable[..., Any] | None:
        return MuonDirection(*self.kind(group)[1:])


@dataclass
class MuonDirection:
    """As torch multiplies: in bfloat16."""

    nesterov: bool
    coefficients: tuple[float, float, float]
    steps: int
    eps: float
    adjust_lr_fn: str | None

    def __call__(self, m: Array, u: Array) -> Array:
        x = torch.from_numpy(u if self.nesterov else m)
        a, b, c = self.coefficients
        tall = x.shape[0] > x.shape[1]
        y = x.bfloat16().T if tall else x.bfloat16()
        y.div_(y.norm().clamp(min=self.eps))
        for _ in range(self.steps):
            gram = y @ y.T
            y = torch.addmm(y, torch.addmm(gram, gram, gram, beta=b, alpha=c), y, beta=a)
        direction: Array = (y.T if tall else y).to(x.dtype).mul_(size(u.shape, self.adjust_lr_fn)).contiguous().numpy()
        return direction


ADAM = Rules("adam", "adam_amsgrad", "adamw", "adamw_amsgrad")
RULES = {
    "SGD": OfSGD("sgd", "heavy_ball", "nesterov_momentum"),
    "Adam": ADAM,
    "AdamW": ADAM,
    "RMSprop": Rules("rmsprop", "rmsprop_centered", "rmsprop_momentum", "rmsprop_centered_momentum"),
    "Adagrad": OfAdagrad("adagrad"),
    "Adadelta": Rules("adadelta"),
    "Adamax": Rules("adamax"),
    "NAdam": OfNAdam("nadam", "nadam_decoupled"),
    "RAdam": Rules("radam", "radam_decoupled"),
    "ASGD": OfASGD("asgd"),
    "Rprop": OfRprop("rprop"),
    "Adafactor": Rules("adafactor"),
    "Muon": OfMuon("muon"),
    "SparseAdam": OfSparseAdam("adam"),
}
