"""An optimizer is complete: table, reference, kernels, classes, tests and docs have the same names and defaults."""

import importlib
import inspect
import re
from operator import attrgetter
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from .. import ROOT
from ..bits import assert_same_bits
from ..cases import CASES, DEFAULTS, MATRIX_CASES, OUTSIDE, Case

RULES = set(fo._core.rule_hypers)
DOCS = ROOT / "docs"
SECTIONS = ["Parameters", "Raises", "Examples", "References"]
PUBLIC = [*fo.__all__, *(f"schedules.{name}" for name in fo.schedules.__all__)]
RANDOM = ", random: tuple[int, int, int] | None = None"  # of rules whose numbers may be narrow
OF_MATRICES = {case.rule for case in MATRIX_CASES}  # with products that are not compiled


def assert_same_names(got: set[str], where: str, wanted: set[str] = RULES) -> None:
    assert not wanted - got, f"{where} lacks {sorted(wanted - got)}"
    assert not got - wanted, f"{where} has {sorted(got - wanted)}, which the compiled table has not"


def functions(module: object) -> set[str]:
    """The functions whose first arguments are those of a rule."""
    found = inspect.getmembers(module, inspect.isfunction)
    return {name for name, function in found if list(inspect.signature(function).parameters)[:2] == ["w", "g"]}


def test_the_compiled_table_describes_itself() -> None:
    assert set(fo._core.rule_states) == set(fo._core.rule_passes) == RULES


def test_passes() -> None:
    """What a pass reads and writes, as the signature of the rule tells."""
    assert fo._core.rule_passes["adam"] == [(["w", "g", "m", "v"], ["w", "m", "v"])]
    assert fo._core.rule_passes["lamb"] == [(["w", "g", "m", "v"], ["m", "v"]), (["w", "m", "v"], ["w"])]
    assert fo._core.rule_passes["window_sgd"] == [(["w", "g"], ["w"])]  # the ring is counted by rows


def test_reference() -> None:
    assert_same_names(functions(fo.reference), "reference.py")
    assert set(fo.reference.__all__) == {*fo.kernels.__all__, "gradient", "norm", "average", "power"}
    assert all(callable(getattr(fo.reference, name)) for name in fo.reference.__all__)


def test_kernels() -> None:
    of_rows = {f"{rule}_rows" for rule in fo._core.rules_of_rows}
    assert_same_names(set(fo.kernels.__all__) - of_rows, "kernels.__all__")
    assert of_rows <= set(fo.kernels.__all__) and all(hasattr(fo.reference, name) for name in of_rows)
    compiled = RULES - OF_MATRICES
    assert {fo.kernels.__dict__[name] for name in compiled} == {fo._core.__dict__[name] for name in compiled}


def test_classes() -> None:
    assert_same_names(set(fo.Optimizer.registry), "Optimizer.registry")
    for rule, optimizer in fo.Optimizer.registry.items():
        assert getattr(fo, optimizer.__name__) is optimizer, f"fusedoptim lacks {optimizer.__name__} of the rule {rule}"
        assert optimizer.__name__ in fo.__all__, f"fusedoptim.__all__ lacks {optimizer.__name__}"


def test_cases() -> None:
    assert_same_names({case.rule for case in [*CASES, *MATRIX_CASES]}, "cases.py")
    optimizers = [case.optimizer for case in [*DEFAULTS, *MATRIX_CASES] if not case.keywords]
    assert set(optimizers) == set(fo.Optimizer.registry.values()), "cases.py lacks a row with the defaults"
    assert len(set(optimizers)) == len(optimizers), "cases.py has an optimizer twice with its defaults"


def test_every_common_keyword_is_refused_some_value() -> None:
    assert not fo.Common.__annotations__.keys() - OUTSIDE.keys(), "OUTSIDE has no row for them"


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_has_a_docstring(name: str) -> None:
    thing = attrgetter(name)(fo)
    if thing is fo.schedules.Schedule:
        pytest.skip("a type, which can have none")
    assert (thing.__doc__ or "").strip()
    if inspect.isclass(thing) and issubclass(thing, fo.Optimizer) and thing is not fo.Optimizer:
        found = re.findall(r"^ *(\w+)\n *-{3,}$", thing.__doc__, re.MULTILINE)
        assert not set(SECTIONS) - set(found), "sections are missing"


@pytest.fixture(scope="module")
def pages() -> Any:
    """The module that writes pages of the documentation."""
    for needed in (DOCS, DOCS.parent / "csrc"):
        if not needed.is_dir():
            pytest.skip(f"{needed}, which the pages quote, is not there")
    return importlib.import_module("pages")


def test_the_written_pages_are_up_to_date(pages: Any) -> None:
    wanted = pages.files()
    assert set((DOCS / "optimizers").glob("*.md")) == {path for path in wanted if path.parent.name == "optimizers"}
    old = [path.name for path, text in wanted.items() if path.read_text() != text]
    assert not old, f"{old} are not what docs/pages.py writes: nox -s pages"


@pytest.mark.parametrize("optimizer", sorted(set(fo.Optimizer.registry.values()), key=str))
def test_a_page_is_markdown(pages: Any, optimizer: type[fo.Optimizer]) -> None:
    """Nothing of reStructuredText has been left over."""
    text = pages.page(optimizer)
    assert not re.findall(r":\w+:`|(?<!`)``(?!`)|^\.\. \w", text, re.MULTILINE)
    names = [name for name in inspect.signature(optimizer).parameters if name != "common"]
    listed = re.findall(r"^- \*\*([\w, ]+)\*\*", text.partition("## Arguments")[2].partition("\n## ")[0], re.MULTILINE)
    assert ", ".join(listed).split(", ") == names


def test_docs_reach_every_public_name() -> None:
    """By the API page, or a signature on a page that docs/pages.py writes."""
    text = "\n".join(path.read_text() for path in (*DOCS.glob("*.md"), *DOCS.glob("optimizers/*.md")))
    found = re.findall(r"^\.\. (?:auto|py:)\w+:: fusedoptim\.([\w.]+)|^fo\.([\w.]+)\(", text, re.MULTILINE)
    reached = {auto or written for auto, written in found}
    kernels = {f"kernels.{rule}" for rule in RULES}
    assert not (lacking := {*PUBLIC, *kernels} - reached), f"the documentation lacks {sorted(lacking)}"


def test_the_table_of_convergence_has_every_optimizer() -> None:
    table = DOCS / "convergence.csv"
    if not table.exists():
        pytest.skip(f"{table} is not there")
    _, *rows = table.read_text().splitlines()
    optimizers = {optimizer.__name__ for optimizer in fo.Optimizer.registry.values()}
    assert sorted(re.match(r"\w+", row)[0] for row in rows) == sorted(optimizers), "run: nox -s figures"


def test_every_optimizer_tells_its_deviations(pages: Any) -> None:
    """What differs from papers and other libraries, or that nothing does: of all, and each line of a docstring's list."""
    table = pages.deviations()
    for optimizer in pages.classes():
        listed = inspect.getdoc(optimizer).partition("*Deviations.*")[2].partition("\n\nExamples")[0]
        assert len(pages.deviations_of(optimizer)) == len(re.findall(r"^- ", listed, re.MULTILINE))
        assert f"[`{optimizer.__name__}`]" in table


@pytest.mark.parametrize(
    ("told", "deviations"),
    [
        ("*Deviations.* None.", []),
        ("*Deviations.* None from the paper.\n\nMore.", []),
        (
            "*Deviations.*\n\n- torch: adds\n  twice: so.\n- optax: none.",
            [("torch", "adds twice: so."), ("optax", "none.")],
        ),
        ("", None),
        ("*Deviations.*", None),
        ("*Deviations.* Some.", None),
        ("*Deviations.*\n\n- torch: adds.\n- without a name", None),
    ],
)
def test_deviations_are_read(pages: Any, told: str, deviations: list[tuple[str, str]] | None) -> None:
    class Told(fo.SGD):
        pass

    Told.__doc__ = f"One line.\n\nNotes\n-----\n{told}\n\nExamples\n--------\n"
    if deviations is None:
        with pytest.raises(ValueError, match="the notes of Told must have"):
            pages.deviations_of(Told)
    else:
        assert pages.deviations_of(Told) == deviations


@pytest.mark.parametrize("optimizer", sorted(set(fo.Optimizer.registry.values()), key=str))
def test_every_hyper_parameter_is_tested(optimizer: type[fo.Optimizer]) -> None:
    """With another value than its default, and with those it must refuse."""
    parameters = inspect.signature(optimizer).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    rows = [case for case in [*CASES, *MATRIX_CASES] if case.optimizer is optimizer]
    tested = {name for case in rows for name, value in case.keywords.items() if value != defaults.get(name)}
    hypers = {name for case in rows for name in fo._core.rule_hypers[case.rule]}
    if "weight_decay" not in hypers:
        defaults.pop("weight_decay", None)  # the L2 penalty, which is of the step: test_step.py
    assert not defaults.keys() - tested, "no row of CASES sets them"
    assert not (defaults.keys() | hypers) - OUTSIDE.keys(), "OUTSIDE has no row for them"


# Signatures and defaults


def documented(rule: str) -> tuple[list[str], dict[str, float]]:
    """The arrays, and the hyper-parameters with their defaults, as the docstring of the kernel has them."""
    text = fo._core.__dict__[rule].__doc__.replace(RANDOM, "")
    match = re.fullmatch(rf"{rule}\((.*), \*, (.*)\) -> None", text)
    assert match
    arrays, hyper = (re.findall(r"(\w+): [\w.]+(?: = ([^,]+))?", group) for group in match.groups())
    return [name for name, _ in arrays], {name: float(value) for name, value in hyper}


@pytest.mark.parametrize("rule", sorted(RULES - OF_MATRICES))
def test_the_reference_has_the_signature_of_the_kernel(rule: str) -> None:
    arrays, hyper = documented(rule)
    assert arrays == ["w", "g", *(name for name, _ in fo._core.rule_states[rule])]
    assert list(hyper.items()) == list(fo._core.rule_hypers[rule].items())
    parameters = inspect.signature(getattr(fo.reference, rule)).parameters.values()
    assert [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD] == arrays
    assert [(p.name, p.default) for p in parameters if p.kind is p.KEYWORD_ONLY and p.name != "random"] == list(
        hyper.items()
    )


def taken(rule: str) -> set[str]:
    """The hyper-parameters that a rule of the reference names, or that a rule does to which it passes the others on."""
    formula = inspect.unwrap(getattr(fo.reference, rule))
    parameters = inspect.signature(formula).parameters.values()
    names = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty}
    passed_on = any(p.kind is p.VAR_KEYWORD for p in parameters)
    return names.union(*(taken(other) for other in RULES & set(formula.__code__.co_names) if passed_on))


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_reference_names_the_hyper_parameters_of_the_table(rule: str) -> None:
    """By hand: the signature that it shows has them from the table."""
    assert_same_names(taken(rule), f"reference.{rule}", set(fo._core.rule_hypers[rule]))


@pytest.mark.parametrize("rule", sorted(OF_MATRICES))
def test_of_matrices_kernel_and_reference_have_the_same_signature(rule: str) -> None:
    kernel, reference = (inspect.signature(getattr(layer, rule)).parameters for layer in (fo.kernels, fo.reference))
    assert [(p.name, p.kind, p.default) for p in kernel.values()] == [
        (p.name, p.kind, p.default) for p in reference.values()
    ]


@pytest.mark.parametrize("row", [*DEFAULTS, *(case for case in MATRIX_CASES if not case.keywords)], ids=str)
def test_the_class_has_the_defaults_of_the_rule(row: Case) -> None:
    defaults, means = fo._core.rule_hypers[row.rule], row.make(np.ones((2, 2))).groups[0]._hyper
    assert {name: means[name] for name in defaults if name in means} == {
        name: value for name, value in defaults.items() if name in means
    }


@pytest.mark.parametrize("row", [*DEFAULTS, *(case for case in MATRIX_CASES if not case.keywords)], ids=str)
def test_kernel_reference_and_class_have_the_same_defaults(row: Case) -> None:
    rng = np.random.default_rng(0)
    g, start = rng.normal(size=(2, 10, 10))
    results = []
    for run in (row.kernel, row.reference):
        w = start.copy()
        run(w, g, *row.new_state(w))
        results.append(w)
    w = start.copy()
    row.make(w).step(g)
    for result in results:
        assert_same_bits(result, w)
