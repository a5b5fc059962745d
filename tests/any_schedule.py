"""Schedules of every kind and nest, drawn by hypothesis, but for `Plateau` and the functions of a program."""

from hypothesis import strategies as st

from fusedoptim import schedules

RATE = st.integers(0, 100) | st.floats(0, 100)
N = st.integers(1, 10**6) | st.floats(1e-9, 1e6)
WHOLE = st.integers(0, 10**6)
MORE = st.integers(10**6 + 1, 10**9)
SHARE = st.floats(0.01, 0.99)
GROWTH = st.sampled_from([1, 1.01, 2, 2.5])

SIMPLE = st.one_of(
    st.builds(schedules.constant, RATE),
    st.builds(schedules.inverse_sqrt, RATE, N),
    st.builds(schedules.exponential, RATE, SHARE),
    st.builds(schedules.step, RATE, N, SHARE),
    st.builds(schedules.linear, RATE, N, RATE),
    st.builds(schedules.cosine, RATE, N, RATE),
    st.builds(schedules.polynomial, RATE, N, RATE, RATE),
    st.builds(schedules.restarts, RATE, MORE | st.integers(1, 9), GROWTH, RATE),
    st.builds(schedules.one_cycle, RATE, N, SHARE, RATE, RATE),
    st.builds(schedules.warmup_cosine, RATE, MORE, WHOLE, RATE, RATE),
    st.builds(schedules.warmup_linear, RATE, MORE, WHOLE, RATE, RATE),
    st.builds(schedules.warmup_inverse_sqrt, RATE, WHOLE, RATE),
)


def _nested(inner: st.SearchStrategy) -> st.SearchStrategy:
    several = st.lists(inner | RATE, min_size=1, max_size=4)
    boundaries = st.lists(WHOLE, min_size=3, max_size=3, unique=True).map(sorted)
    joins = st.builds(lambda some, at: schedules.join(some, at[: len(some) - 1]), several, boundaries)
    return st.builds(schedules.warmup, inner | RATE, N) | joins


ANY = st.recursive(SIMPLE, _nested, max_leaves=5)
