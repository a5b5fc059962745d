"""What the machine offers, and what is chosen: threads, the instruction set, and the report of both.

Who lives here knows no optimizer, and imports ``_core`` and ``core``.
"""
