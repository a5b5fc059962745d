"""Runs the tests of another package, from where it is installed, with classes of ours in the place of its own.

A plugin of pytest, `-p tests.clients.exchanged`; FUSEDOPTIM_EXCHANGE names what is exchanged, as "thinc". At the end it says how
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


def pytest_configure() -> None:
    {"thinc": thinc}[os.environ["FUSEDOPTIM_EXCHANGE"]]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"{steps} steps were ours")
