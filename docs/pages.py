"""Writes a page for each optimizer, and the tables of all, from docstrings, references and kernels: `nox -s pages`."""

import csv
import inspect
import operator
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import fusedoptim as fo
from docstrings import markdown, note, parameters, sections
from fusedoptim import _core
from fusedoptim.core.tensors import numbers_moved

DOCS = Path(__file__).parent
CSRC = DOCS.parent / "csrc"
OUT = DOCS / "optimizers"

PAGE = """\
<!-- Written by docs/pages.py: change the docstring, and run nox -s pages. -->

# {name}

{summary}

```python signature
{signature}
```

{about}
{picture}
## When to use it

{when}

*Usual learning rates.* {rates}

## What it costs

{costs}

## Arguments

{arguments}

The [keywords of every optimizer](../api.md#keywords-of-every-optimizer) come with it: {common}.
{methods}{notes}
## Deviations

{deviations}

## Example

```pycon
{example}
```

## The code

What it means, in NumPy:

{references}

What runs:

{kernels}

## References

{papers}
"""

PICTURE = """
![The path of {name} over Rosenbrock's ravine, and over a saddle](figures/{name}.svg)
"""

FOLDED = """\
<details>
<summary>C++: {path}</summary>

```cpp
{text}
```

</details>"""

ONE_NUMBER = {"tensor": "one number for each tensor", "row": "one number for each index of the first axis"}


def files() -> dict[Path, str]:
    """What each page should be: those that are written whole, and those with parts that are."""
    parts = {
        OUT / "index.md": {"optimizers": optimizers()},
        DOCS / "convergence.md": {"convergence": measured("convergence")},
        DOCS / "deviations.md": {"deviations": deviations()},
        DOCS / "narrow.md": {"training": measured("narrow")},
        DOCS / "kernels.md": {"kernels": kernels(), "rows": code(f"{rule}_rows" for rule in _core.rules_of_rows)},
        DOCS / "schedules.md": {"schedules": schedules()},
        DOCS / "whole-step.md": {name: python(name) for name in ("gradient", "average", "norm")},
    }
    return (
        {OUT / f"{cls.__name__}.md": page(cls) for cls in classes()}
        | {path: with_parts(path.read_text(), texts) for path, texts in parts.items()}
        | {DOCS / "api.md": api()}
    )


def with_parts(text: str, parts: dict[str, str]) -> str:
    """The text with these parts between the comments of their names."""
    for name, part in parts.items():
        begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, rest = text.split(begin)
        _, after = rest.split(end)
        text = f"{before}{begin}\n{part}\n\n{end}{after}"
    return text


def write() -> None:
    """Writes all pages, and removes the pages of optimizers that are no more."""
    wanted = files()
    for path in OUT.glob("*.md"):
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
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


def page(cls: type[fo.Optimizer]) -> str:
    """The page of an optimizer."""
    name, told = cls.__name__, sections(cls)
    summary, _, about = told[""].partition("\n\n")
    rules = [rule_of(cls), *cls.variants]
    own, _, deviating = told["Notes"].partition("*Deviations.*")
    own = re.sub(r"^\*(?:When to use it|Usual learning rates)\.\* .+(?:\n.+)*", "", own, flags=re.MULTILINE).strip()
    return PAGE.format(
        name=name,
        summary=markdown(summary),
        signature=signature(cls, f"fo.{name}"),
        about=markdown(about),
        picture=PICTURE.format(name=name) if (OUT / "figures" / f"{name}.svg").exists() else "",
        when=markdown(said(cls, "When to use it")),
        rates=markdown(said(cls, "Usual learning rates")),
        costs="\n\n".join(f"{f'`{rule}`' if cls.variants else 'It'} {kept(rule)} {moved(rule)}" for rule in rules),
        arguments=arguments(told["Parameters"]),
        common=code(fo.Common.__annotations__),
        methods="".join(method(name, f"fo.{cls.__name__}.{name}", function) for name, function in methods(cls)),
        notes=f"\n## Notes\n\n{markdown(own)}\n" if own else "",
        deviations=markdown(deviating.strip()),
        example=told["Examples"],
        references="\n\n".join(map(python, rules)),
        kernels="\n\n".join(
            FOLDED.format(path=path.relative_to(DOCS.parent), text=path.read_text().strip())
            for path in dict.fromkeys(map(source, rules))
        ),
        papers=markdown(told["References"]),
    )


def said(cls: type[fo.Optimizer], heading: str) -> str:
    """What the notes say under a heading that all must have."""
    found = note(sections(cls)["Notes"], heading)
    if not found:
        raise ValueError(f'the notes of {cls.__name__} must have a paragraph that begins with "*{heading}.*"')
    return found


def signature(function: Callable[..., object], name: str) -> str:
    """How to call it, without types."""
    shown = inspect.signature(function)
    plain = [p.replace(annotation=p.empty) for p in shown.parameters.values() if p.name != "self"]
    return f"{name}{shown.replace(parameters=plain, return_annotation=shown.empty)}"


def arguments(section: str) -> str:
    """The list of arguments, without those that all optimizers take."""
    lines = []
    for name, kind, text in parameters(section):
        if not name.startswith("**"):
            line = f"- **{name}**{f' ({markdown(kind)})' if kind else ''}{f': {markdown(text)}' if text else ''}"
            lines.append(line.replace("\n", "\n  "))
    return "\n".join(lines)


def methods(cls: type[fo.Optimizer]) -> list[tuple[str, Callable[..., object]]]:
    """Those that it or a class between has, and Optimizer has not or in another way."""
    hooks = {"carry", "hyper", "initial"}
    return [
        (name, function)
        for name, function in inspect.getmembers(cls, inspect.isfunction)
        if not name.startswith("_") and name not in hooks and function is not getattr(fo.Optimizer, name, None)
    ]


def method(name: str, call: str, function: Callable[..., object]) -> str:
    """A section about a method."""
    told = sections(function)
    raised = re.findall(r"^(\S.*)\n((?: {4}.*\n?)+)", told.get("Raises", ""), re.MULTILINE)
    parts = [
        f"## {name}",
        f"```python signature\n{signature(function, call)}\n```",
        markdown(told[""]),
        arguments(told.get("Parameters", "")),
        *(f"Raises {code(kinds.split(', '))} {' '.join(markdown(text).split())}" for kinds, text in raised),
    ]
    return "\n" + "\n\n".join(filter(None, parts)) + "\n"


def python(name: str) -> str:
    """The lines of a function of the reference."""
    lines = inspect.getsource(inspect.unwrap(getattr(fo.reference, name))).removeprefix("@rule\n").strip()
    return f"```python\n{lines}\n```"


def source(rule: str) -> Path:
    """The file that defines a rule: its own, or the one with its signature."""
    if (own := CSRC / "rules" / f"{rule}.hpp").exists():
        return own
    named = re.compile(rf'signature\s*=[^;"]*"{rule}"')
    (found,) = (path for path in CSRC.rglob("*.?pp") if named.search(path.read_text()))
    return found


def kept(rule: str) -> str:
    """The state, in words."""
    states = _core.rule_states[rule]
    if not states:
        return "keeps no state."
    single = "".join(f" `{name}` has {ONE_NUMBER[kind]}." for name, kind in states if kind in ONE_NUMBER)
    return f"keeps {code(name for name, _ in states)}.{single}"


def moved(rule: str) -> str:
    """What a step reads and writes, in words."""
    passes, states = _core.rule_passes[rule], _core.rule_states[rule]
    if not passes:
        return "A step takes more than a pass over each element: see the kernel."
    subjects = ["A step"] if len(passes) == 1 else ["The first pass", "the second", "the third"][: len(passes)]
    clauses = []
    for subject, (reads, writes) in zip(subjects, passes, strict=True):
        written = f" and writes {code(writes)}" if writes else ""
        clauses.append(f"{subject} reads {code(reads)}{written}")
    rings = "".join(
        f", besides all slots of `{name}` but one, which it writes" for name, kind in states if kind == "ring"
    )
    numbers, size = total(rule)
    return f"{'; '.join(clauses)}{rings}: {numbers} numbers a parameter, {size} bytes in float32."


def total(rule: str) -> tuple[str, str]:
    """Numbers and bytes in float32 that a step moves a parameter, with a ring of M slots."""
    if not _core.rule_passes[rule]:
        return "–", "–"
    fixed, per_slot = numbers_moved(rule, 0), numbers_moved(rule, 1) - numbers_moved(rule, 0)
    return (f"{fixed} + M", f"{4 * fixed} + 4 M") if per_slot else (f"{fixed}", f"{4 * fixed}")


def optimizers() -> str:
    """The table of all optimizers. What only a variant keeps or moves is in parentheses."""
    rows = []
    for cls in classes():
        rule = rule_of(cls)
        own = [name for name, _ in _core.rule_states[rule]]
        more = dict.fromkeys(name for other in cls.variants for name, _ in _core.rule_states[other] if name not in own)
        size = total(rule)[1]
        most = max((total(other)[1] for other in cls.variants), key=int, default=size)
        rows.append(
            (
                f"[`{cls.__name__}`]({cls.__name__}.md)",
                markdown(sections(cls)[""].partition("\n\n")[0]),
                " ".join(filter(None, [code(own), f"({code(more)})" if more else ""])) or "none",
                size if most == size else f"{size} ({most})",
            )
        )
    return table(("optimizer", "what it is", "state", "bytes a parameter"), rows)


def kernels() -> str:
    """How to call each kernel: as its reference, which has the same arguments and defaults."""
    calls = [signature(getattr(fo.reference, rule), f"fo.kernels.{rule}") for rule in _core.rule_states]
    return "\n".join(["```python signature", *calls, "```"])


def schedules() -> str:
    """The table of all schedules."""
    rows = []
    for name in fo.schedules.__all__:
        schedule = getattr(fo.schedules, name)
        if inspect.isclass(schedule):
            rows.append((code([signature(schedule, name)]), first(schedule)))
    return table(("schedule", "rate of step t"), rows)


def api() -> str:
    """The API page: above each block that Sphinx makes from docstrings, a list of the names in it."""
    blocks = re.compile(r"(?:<!-- names -->\n.*?<!-- /names -->\n\n)?(```{eval-rst}\n.*?```)", re.DOTALL)
    documented = re.compile(r"^\.\. auto(?:class|function):: fusedoptim\.(\S+)(?:\n   :members: (.+))?", re.MULTILINE)

    def listed(block: re.Match[str]) -> str:
        lines = []
        for name, members in documented.findall(block[1]):
            thing = operator.attrgetter(name)(fo)
            lines.append(f"- `fo.{name}`: {first(thing)}")
            lines += [f"  - `{member}`: {first(getattr(thing, member))}" for member in members.split(", ") if member]
        return "\n".join(["<!-- names -->\n", *lines, "\n<!-- /names -->\n", block[1]])

    return blocks.sub(listed, (DOCS / "api.md").read_text())


def first(thing: object) -> str:
    """The first paragraph of a docstring, in a line."""
    return markdown(" ".join(sections(thing)[""].partition("\n\n")[0].split()), ".")


def deviations() -> str:
    """The table of what differs from the papers and from other libraries, and a line of the optimizers of which nothing does."""
    rows, without = [], []
    for cls in classes():
        link, found = f"[`{cls.__name__}`](optimizers/{cls.__name__}.md)", deviations_of(cls)
        rows += [(link, markdown(who, "."), markdown(what, ".")) for who, what in found]
        without += [] if found else [link]
    return f"{table(('optimizer', 'from', 'what'), rows)}\n\nNone: {', '.join(without)}."


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


def measured(name: str) -> str:
    """A table of figures that a program of bench/ has written."""
    head, *rows = csv.reader((DOCS / f"{name}.csv").read_text().splitlines())
    return table(head, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. A bar would begin another cell: those of formulas are written in words."""
    cells = [[cell.replace(r"\|", r"\Vert{}").replace("|", r"\vert{}") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *cells))


def code(names: Iterable[str]) -> str:
    """Names in Markdown."""
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    write()
