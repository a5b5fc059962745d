from collections.abc import Iterator

import pytest

import fusedoptim as fo

from .cases import CASES, DEFAULTS, DTYPES, Case


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`case`: every row of the table; `each`: every optimizer with its defaults; `dtype`, `isa`: all there are."""
    for name, values in (("case", CASES), ("each", DEFAULTS), ("dtype", DTYPES), ("isa", fo.available_isas())):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values, ids=name_of)


def name_of(value: object) -> str:
    return str(value) if isinstance(value, Case | str) else getattr(value, "__name__", "")


@pytest.fixture(autouse=True)
def restored_threads() -> Iterator[None]:
    """Undoes set_num_threads."""
    yield
    fo.set_num_threads(None)
    fo.threads.configure()
