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


def instrumented(session: nox.Session, flags: str, **compilers: str) -> None:
    """Installs a build with these flags, which keeps a tree of its own."""
    session.install(".[test]", "scikit-build-core", "pybind11")
    session.install(
        "--no-deps",
        "--force-reinstall",
        f"-Cbuild-dir=build/{session.name}",
        "-Ccmake.build-type=RelWithDebInfo",
        "-Cinstall.strip=false",
        ".",
        env={"CXXFLAGS": f"{flags} -g -fno-omit-frame-pointer", "LDFLAGS": flags, **compilers},
    )


def library(session: nox.Session, compiler: str, name: str) -> str:
    found = session.run(compiler, f"-print-file-name={name}", external=True, silent=True)
    return str(found).strip()


@nox.session
def asan(session: nox.Session) -> None:
    """The tests under AddressSanitizer and UndefinedBehaviorSanitizer; takes an hour. Arguments after -- go to pytest."""
    instrumented(session, "-fsanitize=address,undefined -fno-sanitize-recover=all -D_GLIBCXX_ASSERTIONS")
    env = {
        # The interpreter is not instrumented, so the library has to be there first; with it that of C++, or it would not
        # see exceptions being thrown.
        "LD_PRELOAD": " ".join(library(session, "g++", name) for name in ("libasan.so", "libstdc++.so")),
        # Else small objects of Python's would lie in blocks that the sanitizer takes for one.
        "PYTHONMALLOC": "malloc",
        # CPython leaves to the end of the process what it allocates once, so that leaks cannot be told from it.
        "ASAN_OPTIONS": "detect_leaks=0:malloc_context_size=3",
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    # Under it address space is reserved by the terabyte, and cannot be limited; the other compiles kernels.cpp by itself.
    left_out = ["--ignore=tests/test_out_of_memory.py", "--ignore=tests/test_symbols.py"]
    session.run("pytest", *left_out, *session.posargs, env=env)


THREADED = ["tests/test_concurrency.py", "tests/test_threads.py", "tests/test_step.py", "tests/test_matrices.py"]


@nox.session
def tsan(session: nox.Session) -> None:
    """The threaded tests under ThreadSanitizer; needs clang and libomp-dev. Arguments after -- go to pytest."""
    # GCC's OpenMP is not instrumented, and its barriers would be taken for races. Clang's tells the sanitizer of them
    # through archer, which comes with libomp. The sanitizer is GCC's, which has the same interface: Clang 14's as a library
    # does not start. It needs addresses that are not drawn at random from all there are (setarch).
    instrumented(session, "-fsanitize=thread", CC="clang", CXX="clang++")
    env = {
        "OMP_TOOL_LIBRARIES": str(Path(library(session, "clang", "")).parents[1] / "libarcher.so"),
        # Of what is not instrumented, CPython and NumPy, neither accesses nor locks are seen.
        "TSAN_OPTIONS": "ignore_noninstrumented_modules=1 halt_on_error=1 report_signal_unsafe=0",
        "OMP_NUM_THREADS": "4",
    }
    # A forked child of a process with threads has no working sanitizer.
    preload = f"LD_PRELOAD={library(session, 'g++', 'libtsan.so')}"
    tests = ["pytest", "-k", "not fork", *(session.posargs or THREADED)]
    session.run("setarch", "-R", "env", preload, *tests, external=True, env=env)


@nox.session
def valgrind(session: nox.Session) -> None:
    """Every kernel once under memcheck; needs valgrind, which hides AVX-512."""
    session.install(".[test]")
    command = ["valgrind", "--quiet", "--error-exitcode=9", "--suppressions=tests/sanitizers/valgrind.supp"]
    session.run(*command, "python", "tests/sanitizers/every_kernel.py", external=True, env={"PYTHONMALLOC": "malloc"})
