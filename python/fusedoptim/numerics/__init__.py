"""Arithmetic on its own: powers, exponentials and logarithms with the same bits everywhere, and Newton–Schulz.

Who lives here knows no optimizer, and imports NumPy alone.
"""
