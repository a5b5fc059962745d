"""Arithmetic on its own: powers, exponentials and logarithms with the same bits everywhere, Newton–Schulz, and
what is taken as a number.

Who lives here knows no optimizer, and imports NumPy alone.
"""
