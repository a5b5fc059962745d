"""The page to play with, docs/play, in a real browser: its rules against the kernels, its surfaces, and what a reader does."""
