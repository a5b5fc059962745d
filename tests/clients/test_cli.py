"""The command line, run as a user would. Nothing here depends on how long anything takes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import fusedoptim as fo
from fusedoptim.cli.arguments import BENCHED


def run(*args: str, absent: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """``python -m fusedoptim *args`` on a machine where the packages `absent` are not installed."""
    block = f"import sys; sys.modules.update(dict.fromkeys({absent!r}))" if absent else ""
    code = f"{block}\nfrom fusedoptim.cli import main\nraise SystemExit(main({list(args)!r}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)


def need(*packages: str) -> None:
    for package in packages:
        pytest.importorskip(package, reason=f"{package} is not installed")


@pytest.mark.parametrize("absent", [(), ("rich",)], ids=["table", "plain"])
def test_info(absent: tuple[str, ...]) -> None:
    done = run("info", absent=absent)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in fo.info())
    assert fo.isa() in done.stdout


def test_module_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fusedoptim", "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("demo", "bench", "doctor", "info"))


def test_import_needs_numpy_alone() -> None:
    code = "import sys, fusedoptim; print(*{'rich', 'matplotlib', 'sklearn'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_demo(tmp_path: Path) -> None:
    need("rich", "matplotlib", "sklearn")
    picture = tmp_path / "demo.png"
    done = run("demo", "--epochs", "2", "--seed", "3", "--output", str(picture))
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = [line for line in done.stdout.splitlines() if line.rstrip().endswith((" yes", " no"))]
    assert len(rows) == 8
    assert all(row.rstrip().endswith("yes") for row in rows)


def test_demo_reaches_96_percent() -> None:
    need("rich", "matplotlib", "sklearn")
    from fusedoptim.cli.demo.training import OPTIMIZERS, digits, train

    data = digits(seed=0)
    for name in ("Adam", "Momentum"):
        run = train(OPTIMIZERS[name], data, epochs=30, seed=0, progress=lambda: None)
        assert run.same_bits
        assert run.test_accuracy >= 0.96


def test_demo_tells_different_bits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    need("rich", "matplotlib", "sklearn")
    from fusedoptim.cli import main
    from fusedoptim.cli.demo.twin import Twin

    monkeypatch.setattr(Twin, "equals", lambda self, opt: False)
    assert main(["demo", "--epochs", "1", "--output", str(tmp_path / "demo.png")]) == 1


def test_bench(tmp_path: Path) -> None:
    need("rich", "matplotlib")
    figures, table, picture = tmp_path / "bench.json", tmp_path / "bench.md", tmp_path / "bench.png"
    rules = ["sgd", "window_sgd", "momentum", "rmsprop", "adam", "adamw", "lamb"]
    done = run(
        *("bench", "--max-exponent", "10", "--repetitions", "2", "--threads", "1", "--isa", "baseline"),
        *("--rules", *rules, "--json", str(figures), "--table", str(table), "--plot", str(picture)),
    )
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(figures.read_text())
    assert (found["machine"]["isa"], found["machine"]["num_threads"]) == ("baseline", 1)
    assert [(rung["rule"], rung["n"]) for rung in found["results"]] == [(rule, n) for rule in rules for n in (16, 1024)]
    for rung in found["results"]:
        assert rung["ns_per_param"].keys() == {"fusedoptim", *rung["speedup"]}
        assert "limit" in rung["speedup"]
        assert all(0 < s["low"] <= s["median"] <= s["high"] for s in rung["ns_per_param"].values())
    rows = [line.split("|")[1].strip(" `") for line in table.read_text().splitlines()[2:]]
    assert rows == rules


@pytest.mark.parametrize("rule", BENCHED)
def test_bench_of_every_rule(rule: str) -> None:
    """All competitors do the same step, and the limit moves what the rule moves."""
    need("rich")
    from fusedoptim.cli.bench.competitors import LIMIT, Workload

    work = Workload(rule, 1024)
    competitors = work.competitors()
    work.check(competitors)
    if LIMIT in competitors:
        competitors[LIMIT]()
        written = {f"traffic{k}": k + 1 for k in range(5)} | {"traffic_ring": 1, "traffic_read": -1}
        moved = sum(len(loop.args) + written[loop.func.__name__] for loop in work.limit())
        assert 4 * work.n * moved == work.bytes_moved


def test_bench_checks_a_norm_over_the_whole_tensor() -> None:
    """Of more than a block, whose norm is another."""
    need("rich")
    from fusedoptim.cli.bench.competitors import BLOCK, OURS, Workload

    work = Workload("lamb", BLOCK + 1)
    work.check({OURS: work.competitors()[OURS]})


def test_bench_refuses_another_result(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    need("rich")
    from fusedoptim.cli import main
    from fusedoptim.cli.bench import inplace

    monkeypatch.setattr(inplace, "sgd", lambda *arrays: None)
    assert main(["bench", "--max-exponent", "4", "--rules", "sgd"]) == 1
    assert "NumPy in place computes another sgd than the reference at n = 16" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "package"),
    [("demo", "rich"), ("demo", "sklearn"), ("bench", "rich"), ("bench --plot b.png", "matplotlib")],
)
def test_missing_extra(command: str, package: str) -> None:
    need("rich", "matplotlib", "sklearn")
    name, *options = command.split()
    done = run(name, *options, absent=(package,))
    assert done.returncode == 1
    assert done.stderr == f"{package} is not installed; run: pip install 'fusedoptim[{name}]'\n"


@pytest.mark.parametrize(
    "args",
    [
        "",
        "train",
        "demo --epochs 0",
        "demo --epochs x",
        "demo --seed -1",
        "demo --output nowhere/demo.png",
        "demo --output demo.txt",
        "bench --rules lion2",
        "bench --max-exponent 3",
        "bench --threads 0",
        "bench --isa sse",
        "bench --json /",
        "info --color",
        "doctor --fast",
    ],
)
def test_bad_arguments(args: str) -> None:
    done = run(*args.split())
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "usage:" in done.stderr
