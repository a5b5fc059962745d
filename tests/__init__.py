"""The tests, in rooms: what is computed (kernels), what an optimizer does (step), what is kept (saved), what goes wrong
(faults), what runs on top (clients), the page to play with (play), and what holds of the whole project (meta). What
several rooms need lies here.
"""

from pathlib import Path

TESTS = Path(__file__).parent
ROOT = TESTS.parent  # of the repository, of which an installed package's tests may have a part
