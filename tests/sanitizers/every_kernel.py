"""Every rule once, by its kernel and in a step with all there is to a step: short, for valgrind."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.cases import CASES, MATRIX_CASES
from tests.nests import gradients, normal

import fusedoptim as fo

EACH = {case.rule: case for case in reversed([*CASES, *MATRIX_CASES])}.values()
OPTIONS = {"accumulate": 2, "clip_value": 0.5, "ema": 0.9, "num_threads": 2}


def main() -> None:
    for isa in fo.available_isas():
        with fo.use_isa(isa):
            for case in EACH:
                w = normal(0, 5, 7)
                case.kernel(w, normal(1, 5, 7), *case.new_state(w), **case.hyper_at(1))
                one = (1, 1) if case in MATRIX_CASES else (1,)
                params = [normal(2, 3, 11), normal(3, *one, dtype=np.float64)]
                keywords = {"clip_norm": 1.0} if "clip_norm" not in case.keywords else {}
                optimizer = case.make(params, **OPTIONS, **keywords)
                for call in range(4):
                    try:
                        optimizer.step(gradients(params, call))
                    except TypeError as error:  # PolyakSGD needs the loss
                        raise SystemExit(f"{case}: {error}") from error
    print(f"{len(EACH)} rules, {', '.join(fo.available_isas())}")


if __name__ == "__main__":
    main()
