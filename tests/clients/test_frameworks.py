"""The programs of docs/frameworks run, and do what the pages say."""

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from .. import ROOT
from ..nests import normal

PAGES = ROOT / "docs" / "frameworks"

pytestmark = [
    pytest.mark.skipif(not PAGES.exists(), reason="the documentation is not here"),
    pytest.mark.filterwarnings("ignore"),  # of other libraries
]


def run(page: str, needs: str, folder: Path) -> dict[str, Any]:
    """The names that the program of a page has at its end."""
    pytest.importorskip(needs, reason=f"{needs}, which the page is about, is not installed")
    (program,) = re.findall(r"^```python\n(.*?)^```$", (PAGES / f"{page}.md").read_text(), re.DOTALL | re.MULTILINE)
    (folder / "program.py").write_text(program)
    return runpy.run_path(str(folder / "program.py"))


def test_every_page_has_a_test() -> None:
    pages = {path.stem for path in PAGES.glob("*.md")} - {"index"}
    assert pages == set(re.findall(r'run\("([\w-]+)", ', Path(__file__).read_text()))
    assert all(f"({page}.md)" in (PAGES / "index.md").read_text() for page in pages)


def test_spacy(tmp_path: Path) -> None:
    assert run("spacy", "thinc", tmp_path)["accuracy"] > 0.95


def test_the_config_of_spacy() -> None:
    """Its section is one that Thinc resolves, to ours."""
    api = pytest.importorskip("thinc.api", reason="Thinc, whose config it is, is not installed")
    (text,) = re.findall(r"^```ini\n(.*?)^```$", (PAGES / "spacy.md").read_text(), re.DOTALL | re.MULTILINE)
    config = api.Config().from_str(f"[training]\n\n{text}")
    optimizer = api.registry.resolve(config)["training"]["optimizer"]
    assert type(optimizer).__module__ == "fusedoptim.thinc" and optimizer.L2 == 0.01


def test_scikit_learn(tmp_path: Path) -> None:
    assert run("scikit-learn", "sklearn", tmp_path)["accuracy"] > 0.9


def test_autograd(tmp_path: Path) -> None:
    losses = run("autograd", "autograd", tmp_path)["losses"]
    assert losses[-1] < losses[0] / 10


def test_pyribs(tmp_path: Path) -> None:
    names = run("pyribs", "ribs", tmp_path)
    from ribs.emitters.opt import AdamOpt

    theirs, ours = AdamOpt(normal(0, 9), lr=0.1), names["FusedAdam"](normal(0, 9), lr=0.1)
    for step in range(50):
        for each in (theirs, ours):
            each.step(normal(step, 9))
    np.testing.assert_allclose(ours.theta, theirs.theta, rtol=1e-5)
    emitter, archive = names["emitter"], names["archive"]
    for _ in range(5):
        x = emitter.ask_dqd()
        gradients = np.zeros((len(x), 3, 10))
        gradients[:, 0], gradients[:, 1, 0], gradients[:, 2, 1] = -2 * x, 1, 1
        told = archive.add(x, -(x**2).sum(axis=1), x[:, :2])
        emitter.tell_dqd(x, -(x**2).sum(axis=1), x[:, :2], gradients, told)
        x = emitter.ask()
        told = archive.add(x, -(x**2).sum(axis=1), x[:, :2])
        emitter.tell(x, -(x**2).sum(axis=1), x[:, :2], told)
    assert emitter._grad_opt.opt.t == 5


def test_jax(tmp_path: Path) -> None:
    assert run("jax", "jax", tmp_path)["loss"] < 1e-2


def test_jax_may_see_the_steps_of_an_arena() -> None:
    """The page warns of it: `device_put` takes aligned memory as it is."""
    jax = pytest.importorskip("jax", reason="jax, of which the page warns, is not installed")
    w = fo.arena(np.zeros(1024, np.float32))
    seen, copied = jax.device_put(w), jax.device_put(w.copy())
    fo.SGD(w, lr=1.0).step(np.ones_like(w))
    assert seen[0] == -1 and copied[0] == 0


def test_offload(tmp_path: Path) -> None:
    names = run("offload", "torch", tmp_path)
    assert float(names["loss"]) < 0.1
    for p, w in zip(names["model"].parameters(), names["weights"], strict=True):
        assert np.array_equal(p.detach().cpu().numpy(), w)


STOCK: dict[str, tuple[str, dict[str, float]]] = {
    "fed_adam": ("FedAdam", {"eta": 0.1, "beta_1": 0.9, "beta_2": 0.99, "tau": 1e-3}),
    "fed_yogi": ("FedYogi", {"eta": 0.01, "beta_1": 0.9, "beta_2": 0.99, "tau": 1e-3}),
    "fed_adagrad": ("FedAdagrad", {"eta": 0.1, "tau": 1e-3}),
    "fed_avgm": ("FedAvgM", {"server_learning_rate": 1.0, "server_momentum": 0.9}),
}


@pytest.fixture
def run_of_flower(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a process of Flower knows of itself."""
    pytest.importorskip("flwr", reason="flwr, which the page is about, is not installed")
    from flwr.supercore.task_identity import TaskIdentity

    for name in ("_run_id", "_node_id", "_task_id"):
        monkeypatch.setattr(TaskIdentity, name, 1)


class TwoNodes:
    def get_node_ids(self) -> list[int]:
        return [1, 2]


def rounds(strategy: Any, start: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights after some rounds of two clients, each of which moves them somewhere."""
    from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict

    arrays = ArrayRecord({key: Array(w) for key, w in start.items()})
    for server_round in range(1, 7):
        list(strategy.configure_train(server_round, arrays, ConfigRecord(), TwoNodes()))
        replies = []
        for node in (1, 2):
            trained = {key: w.numpy() + normal(10 * server_round + node, *w.numpy().shape) for key, w in arrays.items()}
            content = {"arrays": ArrayRecord({key: Array(w) for key, w in trained.items()})}
            asked = Message(content=RecordDict(), dst_node_id=node, message_type="train")
            told = RecordDict(content | {"metrics": MetricRecord({"num-examples": 2 + node})})
            replies.append(Message(content=told, reply_to=asked))
        arrays, _ = strategy.aggregate_train(server_round, replies)
    return {key: w.numpy() for key, w in arrays.items()}


@pytest.mark.usefixtures("run_of_flower")
@pytest.mark.parametrize("make", STOCK)
def test_flower(make: str, tmp_path: Path) -> None:
    """As Flower's strategies, to the bit but for Adam's, in float64; float32 stays so."""
    names = run("flower", "flwr", tmp_path)
    from flwr.serverapp import strategy

    kind, keywords = STOCK[make]
    start = {"w": normal(0, 3, 4, dtype=np.float64), "b": normal(1, 4, dtype=np.float64)}
    wanted = rounds(getattr(strategy, kind)(**keywords), start)
    got = rounds(names["Fused"](names[make]), start)
    for key, w in wanted.items():
        np.testing.assert_allclose(got[key], w, rtol=1e-13 if make == "fed_adam" else 0, atol=0)
    narrow = rounds(names["Fused"](names[make]), {key: np.float32(w) for key, w in start.items()})
    assert {w.dtype for w in narrow.values()} == {np.dtype(np.float32)}
    assert isinstance(names["strategy"].make({"w": np.zeros(1)}), fo.Optimizer)
