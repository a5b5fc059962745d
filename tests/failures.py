"""Many small checks in one test: all that fail are shown, and not the first alone."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


class Failures:
    def __init__(self) -> None:
        self.checks = 0
        self.found: dict[str, BaseException] = {}

    @contextmanager
    def of(self, *what: object) -> Iterator[None]:
        """One check; `what` it is about."""
        self.checks += 1
        try:
            yield
        except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError, pytest.fail.Exception) as failure:
            failure.add_note(f"with {what}")
            self.found[str(what)] = failure

    def show(self) -> None:
        """At the end of a test, which must have made some checks."""
        assert self.checks > 0
        if self.found:
            message = f"{len(self.found)} of {self.checks} checks failed: {'; '.join(self.found)}"
            raise BaseExceptionGroup(message, list(self.found.values()))
