"""The trainings of others, with the optimizer that they come with and with ours: spaCy, scikit-learn, and a round of Flower's server.

In turns, every library with its default number of threads; by the wall clock, and in time of all CPUs. The two must come to the
same.
"""

import logging
import re
import sys
import time
import warnings
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from fusedoptim.cli import arguments
from fusedoptim.cli.extras import extra

with extra("bench"):
    import numpy as np

    import fusedoptim as fo
    from fusedoptim.cli.bench import report
    from fusedoptim.cli.bench.timing import Spread, ratio
    from loop import spinning

FLOWER = Path(__file__).parents[1] / "docs" / "frameworks" / "flower.md"
CLIENTS, ROUNDS = 4, 8

Run = Callable[[bool], Any]  # trains anew, with ours or not, and gives what it came to


@dataclass(frozen=True)
class Training:
    """What is trained, and how much faster it should be by the wall clock."""

    needs: str
    make: Callable[[bool], Run]  # from whether it should be quick
    goal: float
    tolerance: float = 0.0  # relative; 0 means the same bits


def spacy(quick: bool) -> Run:
    """A classifier of texts by their words, 1.3 million weights: five topics, each of which has words of its own."""
    import spacy
    from spacy.training import Example
    from spacy.util import fix_random_seed, minibatch
    from thinc.api import Adam

    from fusedoptim.thinc import FusedAdam

    rng = np.random.default_rng(0)
    topics = rng.integers(0, 5, 100 if quick else 1_000)
    texts = [" ".join(f"w{k}" for k in rng.zipf(1.3, 20) % 2_000 + 300 * topic) for topic in topics]
    bag = {
        "@architectures": "spacy.TextCatBOW.v3",
        "exclusive_classes": True,
        "ngram_size": 1,
        "no_output_layer": False,
    }

    def run(ours: bool) -> list[float]:
        fix_random_seed(0)
        nlp = spacy.blank("en")
        nlp.add_pipe("textcat", config={"model": bag})
        of = {k: {"cats": {str(topic): float(topic == k) for topic in range(5)}} for k in range(5)}
        examples = [Example.from_dict(nlp.make_doc(text), of[k]) for text, k in zip(texts, topics, strict=True)]
        nlp.initialize(lambda: examples)
        optimizer, losses = (FusedAdam if ours else Adam)(0.001, L2=0.01, use_averages=False), {"textcat": 0.0}
        for _ in range(1 if quick else 3):
            for batch in minibatch(examples, 16):
                nlp.update(batch, sgd=optimizer, losses=losses)
        return [losses["textcat"]]

    return run


def sklearn(hidden: tuple[int, ...], dtype: str, batch: int | str, epochs: int, quick: bool) -> Run:
    """Digits, with Adam."""
    from sklearn import neural_network
    from sklearn.datasets import load_digits

    from fusedoptim import sklearn as ours_of

    x, y = load_digits(return_X_y=True)
    x, y = (x / 16).astype(dtype)[: 200 if quick else None], y[: 200 if quick else None]

    def run(ours: bool) -> list[float]:
        kind = (ours_of if ours else neural_network).MLPClassifier
        model = kind(hidden, batch_size=batch, max_iter=1 if quick else epochs, random_state=0)
        return [model.fit(x, y).loss_]

    return run


def flower(quick: bool) -> Run:
    """Rounds of the server: clients' weights are averaged, FedAdam steps, and what comes of it is made ready to be sent."""
    from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
    from flwr.serverapp.strategy import FedAdam

    (program,) = re.findall(r"^```python\n(.*?)^```$", FLOWER.read_text(), re.DOTALL | re.MULTILINE)
    page: dict[str, Any] = {}
    exec(program, page)  # noqa: S102 what the page shows is what is timed
    n = 16 if quick else 256
    shapes = [(n, n, 3, 3)] * 19 + [(n,)] * 34
    rng = np.random.default_rng(0)
    of_clients = [[rng.standard_normal(shape, np.float32) for shape in shapes] for _ in range(CLIENTS)]

    def replies() -> list[SimpleNamespace]:
        records = [ArrayRecord({str(k): Array(w) for k, w in enumerate(weights)}) for weights in of_clients]
        contents = [RecordDict({"arrays": each, "metrics": MetricRecord({"num-examples": 1})}) for each in records]
        return [SimpleNamespace(content=each, has_error=lambda: False) for each in contents]

    given = [replies() for _ in range(3)]

    def run(ours: bool) -> list[np.ndarray]:
        now = {str(k): np.zeros(shape, np.float32) for k, shape in enumerate(shapes)}
        strategy = page["Fused"](page["fed_adam"]) if ours else FedAdam(eta=0.1, beta_1=0.9, beta_2=0.99, tau=1e-3)
        strategy.opt = page["fed_adam"](now) if ours else None
        for server_round, each in enumerate(islice(cycle(given), ROUNDS), start=1):
            if not ours:  # as at the beginning of a round, where ours has its weights
                strategy.current_arrays = now
            arrays, _ = strategy.aggregate_train(server_round, each)
            now = {key: array.numpy() for key, array in arrays.items()} if not ours else now
        return list(now.values())

    return run


WIDE, DEFAULT = (512, 256), (100,)
TRAININGS = {
    "spaCy, texts by their words": Training("spacy", spacy, 1.8, 1e-3),
    "scikit-learn (512, 256), float32": Training("sklearn", partial(sklearn, WIDE, "float32", 32, 5), 1.7, 1e-3),
    "scikit-learn (512, 256), float64": Training("sklearn", partial(sklearn, WIDE, "float64", 32, 5), 1.35),
    "scikit-learn (100,), float32": Training("sklearn", partial(sklearn, DEFAULT, "float32", "auto", 50), 1.0, 1e-3),
    "scikit-learn (100,), float64": Training("sklearn", partial(sklearn, DEFAULT, "float64", "auto", 50), 1.0),
    "Flower, FedAdam's rounds": Training("flwr", flower, 3.0, 1e-5),
}


def check(name: str, training: Training, run: Run) -> None:
    """Also warms up: the two come to the same."""
    for theirs, ours in zip(run(False), run(True), strict=True):
        if not np.allclose(ours, theirs, rtol=training.tolerance, atol=training.tolerance):
            raise SystemExit(f"{name}: ours comes to {ours}, and the other to {theirs}")


@dataclass(frozen=True)
class ClientTime:
    """What one training took with the optimizer that the client comes with, and with ours."""

    training: str
    seconds: Spread
    seconds_ours: Spread
    faster: Spread
    less_cpu: Spread
    goal: float

    def line(self) -> list[str]:
        faster, verdict = self.faster.median, "reached" if self.faster.median >= self.goal else "[bold red]missed"
        times = [f"{of.median:.3g}" for of in (self.seconds, self.seconds_ours)]
        return [self.training, *times, f"{faster:.2f}", self.faster.quartiles, f"{self.less_cpu.median:.2f}", verdict]


def measure(name: str, run: Run, repetitions: int, goal: float) -> ClientTime:
    """In turns, each round beginning with the other."""
    wall: dict[bool, list[float]] = {False: [], True: []}
    cpu: dict[bool, list[float]] = {False: [], True: []}
    for k in range(repetitions):
        for ours in (bool(k % 2), not k % 2):
            start = time.perf_counter(), time.process_time()
            run(ours)
            wall[ours].append(time.perf_counter() - start[0])
            cpu[ours].append(time.process_time() - start[1])
    of_both = Spread.of(wall[False]), Spread.of(wall[True])
    return ClientTime(name, *of_both, ratio(wall[False], wall[True]), ratio(cpu[False], cpu[True]), goal)


def one(name: str, args: Namespace) -> ClientTime:
    """In a process of its own: what another has left of its memory would make this one slow or fast."""
    warnings.simplefilter("ignore")  # of others: that training ends too soon, and the like
    logging.disable(logging.WARNING)
    training = TRAININGS[name]
    run = training.make(args.quick)
    check(name, training, run)
    with spinning(args.busy):
        return measure(name, run, 2 if args.quick else args.repetitions, 1.0 if args.busy else training.goal)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="TEXT", default="", help="those whose names have it")
    about = "beside a process on each CPU that never waits; ours should never be slower"
    parser.add_argument("--busy", action="store_true", help=about)
    parser.add_argument("--quick", action="store_true", help="only to see that it works: a little of each, two rounds")
    arguments.measuring(parser, repetitions=7)
    args = parser.parse_args()
    found: list[ClientTime] = []
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        for name in (name for name in TRAININGS if args.only in name):
            if find_spec(TRAININGS[name].needs) is None:
                print(f"{name}: left out, {TRAININGS[name].needs} is not installed", file=sys.stderr)
            else:
                found.append(processes.submit(one, name, args).result())
    title = f"trainings, threads: at most {fo.get_num_threads()}{', beside spinning processes' if args.busy else ''}"
    headings = ["", "its own, s", "ours, s", "times", "quartiles", "of CPU", ""]
    console = report.console(args.json, 110)
    console.print(report.table(headings, [each.line() for each in found], title=title))
    report.write_json(args.json, report.machine(), found)
