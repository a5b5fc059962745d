"""Every task of the project, each in an environment of its own: `nox -l` lists them."""

import difflib
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.sessions = ["lint", "stubs", "docs", "instructions", "tests"]

STUB = Path("python/fusedoptim/_core.pyi")
GROUPS = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *groups: str) -> None:
    session.install(*nox.project.dependency_groups(GROUPS, *groups))


@nox.session
def tests(session: nox.Session) -> None:
    """The tests; arguments after -- go to pytest."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Formats, linters and types: all hooks of pre-commit."""
    session.install("pre-commit")
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure", *session.posargs)


@nox.session
def types(session: nox.Session) -> None:
    """The types alone."""
    session.install("pre-commit")
    session.run("pre-commit", "run", "mypy", "--all-files")


@nox.session
def stubs(session: nox.Session) -> None:
    """Compares the stub of the compiled module with a fresh one; -- --write replaces it."""
    install(session, "stubs")
    session.install("--no-build-isolation", ".")
    folder = Path(session.create_tmp()).resolve()
    session.run("pybind11-stubgen", "fusedoptim._core", "--output-dir", str(folder), silent=True)
    fresh = folder / "fusedoptim" / STUB.name
    config = f"--config={Path('pyproject.toml').resolve()}"
    session.run("ruff", "check", "--quiet", "--fix", "--unsafe-fixes", config, str(fresh))
    session.run("ruff", "format", "--quiet", config, str(fresh))
    if "--write" in session.posargs:
        STUB.write_text(fresh.read_text())
    diff = [text.read_text().splitlines(keepends=True) for text in (STUB, fresh)]
    if changes := "".join(difflib.unified_diff(*diff, str(STUB), "the compiled module")):
        session.error(f"{changes}the stub is out of date: nox -s stubs -- --write")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, and its examples."""
    install(session, "docs")
    session.install(".")
    for builder, out in (("html", "docs/_build"), ("doctest", "docs/_build/doctest")):
        session.run("sphinx-build", "-q", "-W", "-n", "-b", builder, "docs", out)


@nox.session
def figures(session: nox.Session) -> None:
    """Makes the pictures and the table of convergence of the documentation again; commit them."""
    session.install(".[demo]")
    session.run("python", "docs/draw_schedules.py")
    session.run("python", "bench/convergence.py")


@nox.session
def bench(session: nox.Session) -> None:
    """Checks the kernels, then times them; arguments after -- go to the benchmark."""
    session.install(".[bench]")
    session.run("python", "-m", "fusedoptim", "bench", *session.posargs)


@nox.session
def compare(session: nox.Session) -> None:
    """Times the whole step against its peers; arguments after -- go to the comparison."""
    session.install(".[bench]")
    session.run("python", "bench/compare.py", *session.posargs)


@nox.session
def instructions(session: nox.Session) -> None:
    """Counts the instructions of each kernel; -- --write records them."""
    session.install("cmake", "ninja", "pybind11")
    session.run("python", "bench/instructions.py", *(session.posargs or ["--check"]))


@nox.session
def nightly(session: nox.Session) -> None:
    """The long runs of the tests of checkpoints: 500 kills, 100,000 hostile files."""
    session.install(".[test]")
    session.run("pytest", "-rP", "tests/test_checkpoint.py", *session.posargs, env={"FUSEDOPTIM_NIGHTLY": "1"})
