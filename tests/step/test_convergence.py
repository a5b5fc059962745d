"""Every optimizer finds a minimum: of a parabola, along Rosenbrock's ravine, and past a saddle point."""

import pytest

from problems import PROBLEMS

from ..cases import Case

GOALS = {"parabola": 1e-4, "ravine": 1e-2, "saddle": 1e-3}


@pytest.mark.parametrize("name", PROBLEMS)
def test_converges(case: Case, name: str) -> None:
    """With one of a few learning rates."""
    problem, losses = PROBLEMS[name], {}
    assert problem.surface(*problem.start)[0] > 0.5
    for lr, loss in problem.losses(case.optimizer, **case.keywords):
        if loss < GOALS[name]:
            return
        losses[lr] = loss
    pytest.fail(f"the losses at the end are {losses}")
