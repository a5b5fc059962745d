"""An optimizer is complete: table, reference, kernels, classes, tests and docs have the same names and defaults."""

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import fusedoptim as fo

from .bits import assert_same_bits
from .cases import CASES, DEFAULTS, OUTSIDE, Case

RULES = set(fo._core.rule_hypers)
DOCS = Path(__file__).parents[1] / "docs" / "optimizers"


def assert_same_names(got: set[str], where: str) -> None:
    assert not RULES - got, f"{where} lacks {sorted(RULES - got)}"
    assert not got - RULES, f"{where} has {sorted(got - RULES)}, which the compiled table has not"


def functions(module: object) -> set[str]:
    """The functions whose first arguments are those of a rule."""
    found = inspect.getmembers(module, inspect.isfunction)
    return {name for name, function in found if list(inspect.signature(function).parameters)[:2] == ["w", "g"]}


def test_the_compiled_table_describes_itself() -> None:
    assert set(fo._core.rule_states) == RULES


def test_reference() -> None:
    assert_same_names(functions(fo.reference), "reference.py")


def test_kernels() -> None:
    of_rows = {f"{rule}_rows" for rule in fo._core.rules_of_rows}
    assert_same_names(set(fo.kernels.__all__) - of_rows, "kernels.__all__")
    assert of_rows <= set(fo.kernels.__all__) and all(hasattr(fo.reference, name) for name in of_rows)
    assert {fo.kernels.__dict__[name] for name in RULES} == {fo._core.__dict__[name] for name in RULES}


def test_classes() -> None:
    assert_same_names(set(fo.Optimizer.registry), "Optimizer.registry")
    for rule, optimizer in fo.Optimizer.registry.items():
        assert getattr(fo, optimizer.__name__) is optimizer, f"fusedoptim lacks {optimizer.__name__} of the rule {rule}"
        assert optimizer.__name__ in fo.__all__, f"fusedoptim.__all__ lacks {optimizer.__name__}"


def test_cases() -> None:
    assert_same_names({case.rule for case in CASES}, "cases.py")
    optimizers = [case.optimizer for case in DEFAULTS]
    assert set(optimizers) == set(fo.Optimizer.registry.values()), "cases.py lacks a row with the defaults"
    assert len(set(optimizers)) == len(optimizers), "cases.py has an optimizer twice with its defaults"


def test_every_common_keyword_is_refused_some_value() -> None:
    assert not fo.optimizer.Common.__annotations__.keys() - OUTSIDE.keys(), "OUTSIDE has no row for them"


def test_docs() -> None:
    if not DOCS.is_dir():
        pytest.skip(f"{DOCS} is not there, where the pages of the optimizers would be")
    assert_same_names({page.stem for page in DOCS.glob("*.md")} - {"index"}, "docs/optimizers")


def test_every_hyper_parameter_is_tested(each: Case) -> None:
    """With another value than its default, and with those it must refuse."""
    parameters = inspect.signature(each.optimizer).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    rows = [case for case in CASES if case.optimizer is each.optimizer]
    tested = {name for case in rows for name, value in case.keywords.items() if value != defaults[name]}
    hypers = {name for case in rows for name in fo._core.rule_hypers[case.rule]}
    if "weight_decay" not in hypers:
        defaults.pop("weight_decay", None)  # the L2 penalty, which is of the step: test_step.py
    assert not defaults.keys() - tested, "no row of CASES sets them"
    assert not (defaults.keys() | hypers) - OUTSIDE.keys(), "OUTSIDE has no row for them"


# Signatures and defaults


def documented(rule: str) -> tuple[list[str], dict[str, float]]:
    """The arrays, and the hyper-parameters with their defaults, as the docstring of the kernel has them."""
    match = re.fullmatch(rf"{rule}\((.*), \*, (.*)\) -> None", fo._core.__dict__[rule].__doc__)
    assert match
    arrays, hyper = (re.findall(r"(\w+): [\w.]+(?: = ([^,]+))?", group) for group in match.groups())
    return [name for name, _ in arrays], {name: float(value) for name, value in hyper}


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_reference_has_the_signature_of_the_kernel(rule: str) -> None:
    arrays, hyper = documented(rule)
    assert arrays == ["w", "g", *(name for name, _ in fo._core.rule_states[rule])]
    assert list(hyper) == fo._core.rule_hypers[rule]
    parameters = inspect.signature(getattr(fo.reference, rule)).parameters.values()
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == arrays
    own = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert own == {name: hyper[name] for name in own}
    if not any(p.kind is p.VAR_KEYWORD for p in parameters):
        assert set(own) == set(hyper)


def test_kernel_reference_and_class_have_the_same_defaults(each: Case) -> None:
    rng = np.random.default_rng(0)
    g, start = rng.normal(size=(2, 100))
    results = []
    for run in (each.kernel, each.reference):
        w = start.copy()
        run(w, g, *each.new_state(w))
        results.append(w)
    w = start.copy()
    each.make(w).step(g)
    for result in results:
        assert_same_bits(result, w)
