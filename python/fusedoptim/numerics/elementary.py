"""Powers, exponentials, logarithms and cosines of + − × ÷ alone, as in ``csrc/elementary.cpp``.

The C library's differ in the last bit between machines; these do not. They are off by few units in the last place, a power
by 6e-16 (2 + |log power|) of itself.
"""

import math

LN_2 = 0.6931471805599453


def power(base: float, exponent: float) -> float:
    """``base**exponent`` of a base >= 0; by repeated squaring where the exponent is whole."""
    if exponent < 0:
        return 1 / power(base, -exponent)
    if exponent >= 2**63:
        return 0.0 if base < 1 else 1.0 if base == 1 else math.inf
    if exponent != math.floor(exponent):
        return exp(exponent * log(base)) if 0 < base < math.inf else base
    result, base, n = 1.0, float(base), int(exponent)
    while n > 0:
        if n & 1:
            result *= base
        base *= base
        n >>= 1
    return result


def exp(x: float) -> float:
    """e to the power x: 2^k times the Taylor series of what is left of x."""
    if not -708 < x < 709:
        return 0.0 if x < 0 else math.inf
    k = math.floor(x / LN_2 + 0.5)
    rest, series = x - k * LN_2, 1.0
    for n in range(16, 0, -1):
        series = 1 + rest / n * series
    return math.ldexp(series, k)


def log(x: float) -> float:
    """The logarithm of x > 0: k log 2 + 2 artanh(f) for x = 2^k (1 + f) / (1 - f)."""
    m, k = math.frexp(x)
    if m < 0.7071067811865476:
        m, k = 2 * m, k - 1
    f, series = (m - 1) / (m + 1), 0.0
    for n in range(23, 0, -2):
        series = 1 / n + f * f * series
    return k * LN_2 + 2 * f * series


def half_wave(share: float) -> float:
    """(1 + cos(π share)) / 2 of a share in [0, 1]: from 1 to 0, and exactly so at the ends."""
    x, series = math.pi / 2 * min(share, 1 - share), 1.0
    for n in range(19, 1, -2):
        series = 1 - x * x / (n * (n - 1)) * series
    square = (x * series) * (x * series)
    return 1 - square if share < 0.5 else square
