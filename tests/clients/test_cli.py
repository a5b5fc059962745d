"""The command line, run as a user would. Nothing here depends on how long anything takes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fusedoptim as fo
from fusedoptim.cli import CLOSED_PIPE, COMMANDS, INTERRUPTED, main
from fusedoptim.cli.arguments import BENCHED
from fusedoptim.cli.bench import exponents

SHORT = ("--repetitions", "2", "--threads", "1")
NAMES = [command.__name__ for command in COMMANDS]


def run(*args: str, absent: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """``python -m fusedoptim *args`` on a machine where the packages `absent` are not installed."""
    block = f"import sys; sys.modules.update(dict.fromkeys({absent!r}))" if absent else ""
    code = f"{block}\nfrom fusedoptim.cli import main\nraise SystemExit(main({list(args)!r}))"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)


def every_advance_is_told(*args: str) -> list[str]:
    """The command, with progress told at once, not every few seconds, and Ctrl-C heard, also where a shell has it ignored."""
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    told = "from fusedoptim.cli import main, progress; progress.EVERY = 0.0"
    return [sys.executable, "-c", f"{heard}; {told}; raise SystemExit(main({list(args)!r}))"]


def need(*packages: str) -> None:
    for package in packages:
        pytest.importorskip(package, reason=f"{package} is not installed")


@pytest.mark.parametrize("absent", [(), ("rich",)], ids=["table", "plain"])
def test_info(absent: tuple[str, ...]) -> None:
    done = run("info", absent=absent)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in fo.info())
    assert fo.isa() in done.stdout


def test_info_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "info.json"
    assert main(["info", "--json", str(path)]) == 0
    assert "available_isas" in capsys.readouterr().out
    assert main(["info", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads(path.read_text())
    assert (told["fusedoptim"], told["available_isas"]) == (fo.__version__, list(fo.available_isas()))


def test_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--rules", "--json", "-"]) == 0
    rules = json.loads(capsys.readouterr().out)
    assert set(rules) > set(BENCHED) and rules["adam_amsgrad"] == "Adam"
    assert main(["info", "--rules"]) == 0
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [list(row) for row in rules.items()]


def test_module_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fusedoptim", "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert all(command in done.stdout for command in NAMES)


@pytest.mark.parametrize("command", ["", *NAMES])
def test_help_fits_80_columns(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*command.split(), "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 40
    assert max(map(len, lines)) < 80


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--version"])
    assert capsys.readouterr().out == f"fusedoptim {fo.__version__}\n"


@pytest.mark.parametrize("command", ["demo --epochs 1000", "bench", "doctor"])
def test_interrupt(command: str) -> None:
    need("rich", "matplotlib", "sklearn")
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(every_advance_is_told(*command.split()), **options) as running:
        first = (running.stdout if command == "doctor" else running.stderr).readline()  # it is amid its work
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=60)
    assert first
    assert running.returncode == INTERRUPTED
    assert "Traceback" not in err
    assert err.splitlines()[-1] == f"{command.split()[0]} was interrupted"


def test_import_needs_numpy_alone() -> None:
    code = "import sys, fusedoptim; print(*{'rich', 'matplotlib', 'sklearn'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_demo(tmp_path: Path) -> None:
    need("rich", "matplotlib", "sklearn")
    picture = tmp_path / "demo.png"
    done = run("demo", "--epochs", "2", "--seed", "3", "--output", str(picture))
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    lines = done.stdout.splitlines()
    assert lines[0].strip() and max(map(len, lines)) < 80
    rows = [line for line in lines if line.rstrip().endswith((" yes", " no"))]
    assert len(rows) == 8
    assert all(row.rstrip().endswith("yes") for row in rows)


def test_demo_of_all(tmp_path: Path) -> None:
    need("rich", "matplotlib", "sklearn")
    from fusedoptim.cli.demo.optimizers import LEFT_OUT, every

    public = {name for name in fo.optim.__all__ if name != "Optimizer"}
    assert {*every()} | {kind.__name__ for kind in LEFT_OUT} == public
    picture = tmp_path / "demo.png"
    done = subprocess.run(
        every_advance_is_told("demo", "--all", "--epochs", "1", "--output", str(picture)),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert done.stderr.splitlines()[0] == f"1 of {len(every())}: AdaBelief"
    rows = [line.split() for line in done.stdout.splitlines() if line.rstrip().endswith(" yes")]
    assert {row[0] for row in rows} == {*every()}
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_every_optimizer_of_the_demo_learns() -> None:
    need("sklearn")
    from fusedoptim.cli.demo.optimizers import every
    from fusedoptim.cli.demo.training import digits, train

    data = digits(seed=0)
    for name, make in every().items():
        losses = train(make, data, epochs=5, seed=0, progress=lambda: None).test_losses
        assert losses[-1] < losses[0] / 2, name


def test_epoch_of_the_demo() -> None:
    need("sklearn")
    from fusedoptim.cli.demo import mlp
    from fusedoptim.cli.demo.optimizers import EPOCH
    from fusedoptim.cli.demo.training import SIZES, digits, gradients

    rng = np.random.default_rng(0)
    assert sum(1 for _ in gradients(mlp.init(SIZES, rng), digits(0), rng)) == EPOCH


def test_demo_reaches_96_percent() -> None:
    need("rich", "matplotlib", "sklearn")
    from fusedoptim.cli.demo.optimizers import SETTINGS
    from fusedoptim.cli.demo.training import digits, train

    data = digits(seed=0)
    for name in ("Adam", "Momentum"):
        run = train(SETTINGS[name], data, epochs=30, seed=0, progress=lambda: None)
        assert run.same_bits
        assert run.test_accuracy >= 0.96


def test_demo_tells_different_bits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    need("rich", "matplotlib", "sklearn")
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
    verdicts = [line for line in done.stdout.splitlines() if " at 2^10: " in line]
    assert [line.split()[0] for line in verdicts] == rules
    for line in verdicts:
        assert "as fast as textbook NumPy" in line or "as fast as in-place NumPy" in line
        assert line.endswith((" of the memory's limit", " NumPy"))


@pytest.mark.parametrize(("limit", "told"), [(0.98, ", 0.98 of the memory's limit"), (2.87, "")])
def test_verdict_tells_the_share_where_memory_is_the_limit(limit: float, told: str) -> None:
    need("rich")
    from fusedoptim.cli.bench.competitors import IN_PLACE, LIMIT, OURS
    from fusedoptim.cli.bench.ladder import Rung
    from fusedoptim.cli.bench.report import verdict
    from fusedoptim.cli.bench.timing import Spread

    speedup = {name: Spread(times, times, times) for name, times in ((LIMIT, limit), (IN_PLACE, 3.0))}
    rung = Rung("sgd", 2**10, {OURS: Spread(1.0, 1.0, 1.0)}, speedup, 12.0)
    assert verdict([rung]) == f"sgd at 2^10: 3.0 x as fast as in-place NumPy{told}"


def test_bench_writes_json_to_stdout() -> None:
    need("rich")
    done = run("bench", "--rules", "sgd", "--min-exponent", "11", "--max-exponent", "12", *SHORT, "--json", "-")
    assert done.returncode == 0, done.stderr
    assert [rung["n"] for rung in json.loads(done.stdout)["results"]] == [2**11, 2**12]
    assert "sgd at 2^12: " in done.stderr


@pytest.mark.parametrize(
    ("low", "high", "every", "sizes"),
    [
        (4, 26, False, [4, 10, 14, 18, 22, 26]),
        (11, 12, False, [11, 12]),
        (12, 12, False, [12]),
        (5, 19, False, [5, 10, 14, 18, 19]),
        (20, 23, True, [20, 21, 22, 23]),
    ],
)
def test_the_range_asked_for_is_measured(low: int, high: int, every: bool, sizes: list[int]) -> None:
    assert exponents(low, high, every) == sizes


@pytest.mark.parametrize(
    ("command", "kept", "left_out"),
    [
        ("demo --epochs 1 --output d.png", {"optimizer", "acc.", "ratio", "bits"}, "steps"),
        ("bench --rules sgd --max-exponent 5 --repetitions 2", {"n", "ns/param", "limit", "in-place"}, "quartiles"),
    ],
)
def test_a_narrow_terminal_gets_fewer_columns_but_whole_ones(
    command: str,
    kept: set[str],
    left_out: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    need("rich", "matplotlib", "sklearn")
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 0
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 40
    assert kept <= {*out.split()}
    assert left_out not in out.split() and "…" not in out


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
        "bench --min-exponent 20 --max-exponent 10 --plot b.png",
        "bench --max-exponent 29",
        "bench --max-exponent 3",
        "bench --threads 0",
        "bench --isa sse",
        "bench --json /",
        "bench --json x --table ./x",
        "bench --table x.png --plot x.png",
        "bench --rules muon",
        "info --color",
        "doctor --fast",
    ],
)
def test_bad_arguments(args: str) -> None:
    done = run(*args.split())
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "usage:" in done.stderr


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        ("demo --epochs 1 --output", "file"),
        ("bench --plot", "file"),
        ("bench --table", "file"),
        ("info --json", "file"),
        ("doctor --json", "file"),
        ("gallery --out", "folder"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_at_once(
    args: str, wanted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file.png").touch()
    (tmp_path / "folder.png").mkdir()
    other = "folder.png" if wanted == "file" else "file.png"
    for path in ("", str(tmp_path / other), str(tmp_path / "file.png" / "below.png"), str(tmp_path / "none" / "a.png")):
        with pytest.raises(SystemExit, match=r"^2$"):
            main([*args.split(), path])
        assert f"no {wanted} can be written at {path!r}" in capsys.readouterr().err


@pytest.mark.parametrize("args", ["demo --epochs 1", "gallery"])
def test_the_path_of_default_is_checked(
    args: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("fusedoptim-demo.png").mkdir()
    Path("fusedoptim-gallery").touch()
    with pytest.raises(SystemExit, match=r"^2$"):
        main(args.split())
    assert "can be written at 'fusedoptim-" in capsys.readouterr().err


def test_a_path_that_may_not_be_written_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everywhere
    for args in (["info", "--json", str(tmp_path / "a")], ["gallery", "--out", str(tmp_path)]):
        with pytest.raises(SystemExit, match=r"^2$"):
            main(args)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_what_the_system_refuses_is_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json", "/dev/full"]) == 1
    assert capfd.readouterr().err == "info: [Errno 28] No space left on device\n"


@pytest.mark.parametrize("args", ["info --json -", "info --rules --json -", "doctor"])
def test_a_closed_pipe_ends_a_command_in_silence(args: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "fusedoptim", *args.split()]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=300, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (CLOSED_PIPE, "")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("adm", "did you mean adam"),
        ("Lion", "did you mean lion"),
        ("xxxxxxxx", "`info --rules` lists them"),
        ("muon", "muon is not timed"),
    ],
)
def test_a_rule_that_is_not_timed_is_told_why(rule: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["bench", "--rules", rule])
    err = capsys.readouterr().err
    assert told in err
    assert max(map(len, err.splitlines())) < 120
