"""A process that measures when it is asked to and sleeps in between, so that several take turns within one run.

For what a process fixes when it starts: a threading layer, a number of threads. Both ends are here: questions and
answers are lines of JSON.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Self, TextIO

WARM = 8  # steps before those that are timed: threads wake up, in the first few
SIDE = 384  # of the matrices whose product comes before a step


class WorkerError(Exception):
    """What went wrong in the process, in a line."""


class Worker:
    """This end. A method is called there by its name: ``worker.call("time", job=0, steps=3, product=True)``."""

    def __init__(self, name: str, peer: str, environment: dict[str, str]) -> None:
        self.name, self.peer = name, peer
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )

    def call(self, method: str, **arguments: Any) -> Any:
        assert self.process.stdin and self.process.stdout
        try:
            print(json.dumps([method, arguments]), file=self.process.stdin, flush=True)
        except BrokenPipeError:
            raise WorkerError("the process has ended") from None
        line = self.process.stdout.readline()
        if not line:
            raise WorkerError(f"the process has ended, with status {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerError(answer["error"])
        return answer["result"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()  # it may be in the middle of something, and has nothing to lose
        self.process.communicate()


class Methods:
    """The other end."""

    def __init__(self) -> None:
        import numpy as np

        self.jobs: list[Any] = []
        self.a, self.b, self.c = np.random.default_rng(0).standard_normal((3, SIDE, SIDE), np.float32)
        self.multiply: Callable[[], Any] = lambda: np.matmul(self.a, self.b, out=self.c)

    def about(self) -> dict[str, Any]:
        """What layer and how many threads a step of ours has here."""
        import fusedoptim as fo

        told = getattr(fo, "threading_layer", None)  # a version without it has but one
        return {"layer": told() if told else "openmp, fork and join", "threads": fo.get_num_threads()}

    def make(self, peer: str, model: str, variant: str) -> int:
        """Makes a competitor and checks it; returns the number of the job."""
        from field import Field

        field = Field(model, variant)
        competitor = field.make(peer)
        field.check(peer, competitor)
        self.jobs.append(competitor)
        return len(self.jobs) - 1

    def drop(self) -> None:
        self.jobs.clear()

    def time(self, job: int, steps: int, product: bool) -> list[float]:
        """Seconds of single steps, each right after a product or right after the step before."""
        step, seconds = self.jobs[job].step, []
        for _ in range(WARM + steps):
            if product:
                self.multiply()
            begin = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - begin)
        rest()
        return seconds[WARM:]

    def train(self, ours: bool, samples: int, iterations: int) -> tuple[float, float, int]:
        from training import train

        result = train(ours, samples, iterations)
        rest()
        return result


def rest(most: float = 1.0) -> None:
    """Waits until the threads of this process, which spin for a while after they have worked, are asleep."""
    end = time.monotonic() + most
    while time.monotonic() < end:
        before = time.process_time()
        time.sleep(0.02)
        if time.process_time() - before < 1e-3:
            return


def serve(questions: TextIO, answers: TextIO) -> None:
    """Until nobody asks any more, which is also how the death of the other end shows."""
    methods = Methods()
    for line in questions:
        method, arguments = json.loads(line)
        try:
            answer = {"result": getattr(methods, method)(**arguments)}
        except Exception as exception:  # noqa: BLE001 - what a peer may raise is beyond us
            reason = str(exception).strip().partition("\n")[0]
            answer = {"error": f"{type(exception).__name__}: {reason}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what packages print
    serve(sys.stdin, answers)
