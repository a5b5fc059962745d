"""Runs the tests of another package, from where it is installed, with classes of ours in the place of its own.

A plugin of pytest, `-p tests.clients.exchanged`; FUSEDOPTIM_EXCHANGE names what is exchanged, "thinc" or "sklearn". At the end it says how
many steps were ours.
"""

import os
from typing import Any

import pytest

steps = 0


def counted(step: Any) -> Any:
    def called(*args: Any, **keywords: Any) -> Any:
        global steps
        steps += 1
        return step(*args, **keywords)

    return called


def thinc() -> None:
    import thinc.api
    import thinc.optimizers

    from fusedoptim import thinc as ours

    ours.whole_step = counted(ours.whole_step)
    thinc.optimizers.Optimizer = thinc.api.Optimizer = ours.Optimizer


def sklearn() -> None:
    import sklearn.neural_network

    from fusedoptim import sklearn as ours

    ours.whole_step = counted(ours.whole_step)
    for name in ours.__all__:
        setattr(sklearn.neural_network, name, getattr(ours, name))


def pytest_configure() -> None:
    {"thinc": thinc, "sklearn": sklearn}[os.environ["FUSEDOPTIM_EXCHANGE"]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"{steps} steps were ours")
