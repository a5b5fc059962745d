"""Writes a page for each optimizer, and the tables of all; Sphinx calls it before it reads the documentation.

A page quotes docstring, reference and kernel, so that an optimizer is documented where it is defined.
"""

import inspect
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import fusedoptim as fo
from fusedoptim import _core
from fusedoptim.core.tensors import numbers_moved

DOCS = Path(__file__).parent
CSRC = DOCS.parent / "csrc"
OUT = DOCS / "optimizers"

PAGE = """\
# {name}

```{{eval-rst}}
.. autoclass:: fusedoptim.{name}
   :members:
   :exclude-members: carry, hyper, initial
{inherited}
```

## The code

What it means, in NumPy:

{references}

What runs:

{kernels}

## Bytes moved

{moved}
"""

REFERENCE = """\
```{{literalinclude}} ../../python/fusedoptim/reference.py
:pyobject: {rule}
```"""

KERNEL = """\
```{{literalinclude}} ../../{path}
:language: cpp
```"""

ONE_NUMBER = {"tensor": "one number for each tensor", "row": "one number for each index of the first axis"}


def write() -> None:
    """Writes all pages and tables, and removes those of optimizers that are no more."""
    tables = {"table.inc": optimizers(), "kernels.inc": kernels(), "deviations.inc": deviations()}
    files = {f"{name}.md": page for name, page in pages()} | tables
    for path in {*OUT.glob("*.md"), *OUT.glob("*.inc")} - {OUT / "index.md"}:
        if path.name not in files:
            path.unlink()
    for name, text in files.items():
        path = OUT / name
        if not path.exists() or path.read_text() != text:  # what has not changed is not built again
            path.write_text(text)


def classes() -> list[type[fo.Optimizer]]:
    """The optimizers, in the order of the compiled table."""
    order = list(_core.rule_states)
    public = [getattr(fo, name) for name in fo.__all__]
    found = [
        cls for cls in public if inspect.isclass(cls) and issubclass(cls, fo.Optimizer) and cls is not fo.Optimizer
    ]
    return sorted(found, key=lambda cls: order.index(rule_of(cls)))


def rule_of(cls: type[fo.Optimizer]) -> str:
    """The rule that the defaults choose; a class may have none of its own."""
    make: Any = cls
    return str(make(np.zeros((1, 1))).rule)


def pages() -> Iterator[tuple[str, str]]:
    """The name of each optimizer, and its page."""
    for cls in classes():
        rules = [rule_of(cls), *cls.variants]
        sources = dict.fromkeys(source(rule).relative_to(DOCS.parent) for rule in rules)
        yield (
            cls.__name__,
            PAGE.format(
                name=cls.__name__,
                inherited="".join(f"\n   .. automethod:: {name}\n" for name in inherited(cls)),
                references="\n\n".join(REFERENCE.format(rule=rule) for rule in rules),
                kernels="\n\n".join(KERNEL.format(path=path) for path in sources),
                moved="\n\n".join(f"{f'`{rule}`: ' if cls.variants else ''}{moved(rule)}" for rule in rules),
            ),
        )


def inherited(cls: type[fo.Optimizer]) -> list[str]:
    """The methods it has from a class between it and Optimizer."""
    return [
        name
        for name, _ in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_") and name not in vars(cls) and not hasattr(fo.Optimizer, name)
    ]


def source(rule: str) -> Path:
    """The file that defines a rule: its own, or the one with its signature."""
    if (own := CSRC / "rules" / f"{rule}.hpp").exists():
        return own
    signature = re.compile(rf'signature\s*=[^;"]*"{rule}"')
    (found,) = (path for path in CSRC.rglob("*.?pp") if signature.search(path.read_text()))
    return found


def moved(rule: str) -> str:
    """What a step reads and writes, in words."""
    passes, states = _core.rule_passes[rule], _core.rule_states[rule]
    if not passes:
        return "More than a pass over each element: see the kernel."
    subjects = ["A step"] if len(passes) == 1 else ["The first pass", "the second", "the third"][: len(passes)]
    clauses = []
    for subject, (reads, writes) in zip(subjects, passes, strict=True):
        written = f" and writes {code(writes)}" if writes else ""
        clauses.append(f"{subject} reads {code(reads)}{written}")
    rings = "".join(
        f", besides all slots of `{name}` but one, which it writes" for name, kind in states if kind == "ring"
    )
    numbers, size = total(rule)
    single = "".join(f" `{name}` has {ONE_NUMBER[kind]}." for name, kind in states if kind in ONE_NUMBER)
    return f"{'; '.join(clauses)}{rings}: {numbers} numbers a parameter, {size} bytes in float32.{single}"


def total(rule: str) -> tuple[str, str]:
    """Numbers and bytes in float32 that a step moves a parameter, with a ring of M slots."""
    if not _core.rule_passes[rule]:
        return "–", "–"
    fixed, per_slot = numbers_moved(rule, 0), numbers_moved(rule, 1) - numbers_moved(rule, 0)
    return (f"{fixed} + M", f"4 ({fixed} + M)") if per_slot else (f"{fixed}", f"{4 * fixed}")


def optimizers() -> str:
    """The table of all optimizers. What only a variant keeps or moves is in parentheses."""
    rows = [("optimizer", "what it is", "state", "bytes a parameter")]
    for cls in classes():
        rule = rule_of(cls)
        own = [name for name, _ in _core.rule_states[rule]]
        more = dict.fromkeys(name for other in cls.variants for name, _ in _core.rule_states[other] if name not in own)
        size = total(rule)[1]
        most = max((total(other)[1] for other in cls.variants), key=int, default=size)
        rows.append(
            (
                f":class:`~fusedoptim.{cls.__name__}`",
                str(inspect.getdoc(cls)).partition("\n")[0],
                " ".join(filter(None, [literal(own), f"({literal(more)})" if more else ""])) or "none",
                size if most == size else f"{size} ({most})",
            )
        )
    return ".. currentmodule:: fusedoptim\n\n" + table(rows, "18 52 16 14")


def kernels() -> str:
    """The table of the stateless layer."""
    rows = [("kernel", "arrays", "hyper-parameters")]
    for rule, states in _core.rule_states.items():
        arrays = ["w", "g", *(name for name, _ in states)]
        rows.append((literal([rule]), literal(arrays), literal(_core.rule_hypers[rule])))
    return table(rows, "25 25 50")


def deviations() -> str:
    """The table of what differs from the papers and from other libraries, and a line of the optimizers of which nothing does."""
    rows, without = [("optimizer", "from", "what")], []
    for cls in classes():
        found = deviations_of(cls)
        rows += [(f":class:`{cls.__name__}`", who, what) for who, what in found]
        without += [] if found else [f":class:`{cls.__name__}`"]
    return f".. currentmodule:: fusedoptim\n\n{table(rows, '18 18 64')}\nNone: {', '.join(without)}.\n"


def deviations_of(cls: type[fo.Optimizer]) -> list[tuple[str, str]]:
    """From whom an optimizer differs, and how, as its docstring lists it or says that there are none."""
    told = re.search(
        r"^\*Deviations\.\*(?: None\b.*|\n\n((?:- .+: .+\n(?:  .+\n)*)+))$", str(inspect.getdoc(cls)), re.MULTILINE
    )
    if told is None:
        raise ValueError(
            f'the notes of {cls.__name__} must have "*Deviations.*" with a list of "- who: what", or "None."'
        )
    items = re.findall(r"^- (.+?): (.+(?:\n  .+)*)", told[1] or "", re.MULTILINE)
    return [(who, " ".join(what.split())) for who, what in items]


def table(rows: Iterable[tuple[str, ...]], widths: str) -> str:
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for first, *others in rows:
        lines += [f"   * - {first}", *(f"     - {cell}" for cell in others)]
    return "\n".join(lines) + "\n"


def code(names: Iterable[str]) -> str:
    """Names in Markdown."""
    return ", ".join(f"`{name}`" for name in names)


def literal(names: Iterable[str]) -> str:
    """Names in reStructuredText."""
    return ", ".join(f"``{name}``" for name in names)
