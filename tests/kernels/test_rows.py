"""Gradients of some rows of a table, and rules that keep a number for each row."""

from itertools import product
from typing import Any

import numpy as np
import pytest

import fusedoptim as fo

from ..bits import Flushing, assert_same_bits
from ..cases import DEFAULTS, KINDS, Case
from ..draws import moderate, wild
from ..elsewhere import package
from ..expected import Expected, Options
from ..nests import gradients, normal, unchanged
from .test_matrices import check_kernel

PARALLEL = fo._core.parallel_threshold
# Those that embedding tables are trained with, and one of each other structure: the rows are cut out around the rule.
OF_TABLES = {"sgd", "momentum", "rmsprop", "adagrad", "adam", "rowwise_adagrad", "rowwise_adam"}
OF_ROWS = [
    case
    for case in [*DEFAULTS, *(case for case in KINDS if case.keywords)]
    if case.rule in fo._core.rules_of_rows and (case.rule in OF_TABLES or case in KINDS)
]
ROW_WISE = [case for case in OF_ROWS if "row" in dict(fo._core.rule_states[case.rule]).values()]
SHAPES = [(1,), (40,), (1, 1), (7, 3), (50, 33), (4, 2, 5), (3, 0), (9, 4097), (5, 2 * 8192 + 1), (600, 128)]
STEPS = (1, 2, 1000)

each_of_rows = pytest.mark.parametrize("lazy", OF_ROWS, ids=str)


def draw(rng: np.random.Generator, *shape: int, dtype: Any = np.float32, distribution: Any = moderate) -> np.ndarray:
    with np.errstate(all="ignore"):
        return distribution(rng, int(np.prod(shape))).reshape(shape).astype(dtype)


def touched(rng: np.random.Generator, n_rows: int) -> np.ndarray:
    """Some rows twice or more, and some not at all."""
    return rng.integers(0, n_rows, n_rows)


def test_who_can_leave_out_rows() -> None:
    """Those whose states have a number for each element or row, and that need no norm of the tensor."""
    assert {"sgd", "momentum", "rmsprop", "adam", "rowwise_adagrad", "rowwise_adam"} <= set(fo._core.rules_of_rows)
    assert not {"window_sgd", "lamb"} & set(fo._core.rules_of_rows)


@each_of_rows
@pytest.mark.parametrize(("distribution", "like"), [(moderate, np.ndarray), (wild, Flushing)], ids=["moderate", "wild"])
def test_kernel_equals_reference(lazy: Case, dtype: type, distribution: Any, like: type) -> None:
    """Which leaves the rows alone that do not come, so the kernel does too."""
    kernel, reference = (getattr(layer, f"{lazy.rule}_rows") for layer in (fo.kernels, fo.reference))
    rng = np.random.default_rng(0)
    for shape, (index, n_threads) in product(SHAPES, [(np.int32, 1), (np.int64, 3)]):
        fo.set_num_threads(n_threads)
        start = draw(rng, *shape, dtype=dtype)
        wanted = [array.view(like) for array in (start, *lazy.new_state(start))]
        each = {isa: [np.array(array) for array in wanted] for isa in fo.available_isas()}
        for t in STEPS:
            rows = touched(rng, shape[0]).astype(index)
            g = draw(rng, *shape, dtype=dtype, distribution=distribution)
            with np.errstate(all="ignore"):
                reference(wanted[0], rows, g.view(like), *wanted[1:], **lazy.hyper_at(t))
            for isa, got in each.items():
                given = rows.copy(), g.copy()
                with fo.use_isa(isa):
                    kernel(got[0], *given, *got[1:], **lazy.hyper_at(t))
                assert_same_bits(given[1], g, "the gradient was written")
                for a, b in zip(got, wanted, strict=True):
                    assert_same_bits(a, np.array(b), f"{isa} {shape} {n_threads} threads t={t}")


def test_by_hand() -> None:
    """Row 2 has the gradient (1 + 5, 2 - 10) = (6, -8), whose mean square is 50."""
    rows, g = np.array([2, 0, 2]), np.array([[1.0, 2.0], [7.0, 1.0], [5.0, -10.0]])
    for layer in (fo.kernels, fo.reference):
        w, v = np.zeros((4, 2)), np.array([0.0, 3.0, 14.0, 5.0])
        layer.rowwise_adagrad_rows(w, rows, g, v, lr=4.5, eps=1.0)
        assert v.tolist() == [25.0, 3.0, 64.0, 5.0]
        np.testing.assert_allclose(w, [[-5.25, -0.75], [0, 0], [-3, 4], [0, 0]], rtol=1e-15)


def test_sum_in_order_of_appearance() -> None:
    for layer in (fo.kernels, fo.reference):
        w = np.zeros(2, np.float32)
        layer.sgd_rows(w, np.array([1, 1, 1]), np.array([1e8, 1.0, -1e8], np.float32), lr=1.0)
        assert w.tolist() == [0, 0]  # 1e8 + 1 is 1e8 in float32; in another order it would be 1


def test_no_row_at_all(dtype: type) -> None:
    w = normal(0, 5, 3, dtype=dtype)
    optimizer, before = fo.Adam(w), w.copy()
    optimizer.step(fo.RowGrad(np.zeros(0, np.int32), np.zeros((0, 3), dtype)))
    assert_same_bits(w, before)
    assert optimizer.t == 1


# Row-wise rules on all of a table


@pytest.mark.parametrize("row_wise", ROW_WISE, ids=str)
@pytest.mark.parametrize("distribution", [moderate, wild])
def test_row_wise_kernel_equals_reference(row_wise: Case, dtype: type, distribution: Any) -> None:
    for shape in [*SHAPES, (PARALLEL + 3, 2), (3, PARALLEL - 5)]:
        check_kernel(row_wise, shape, dtype, distribution, Flushing if distribution is wild else np.ndarray, STEPS)


@pytest.mark.parametrize("row_wise", ROW_WISE, ids=str)
def test_row_wise_step_equals_reference(row_wise: Case, dtype: type) -> None:
    """The gradient that the two passes over a row see is the same: a mean, clipped and scaled."""
    w = normal(0, 300, 130, dtype=dtype)
    options = Options(accumulate=2, clip_value=0.5, clip_norm=10.0, zero_grads=True)
    expected = Expected([(row_wise, 0.0, [w])], options)
    optimizer = row_wise.make(w, **options.keywords, num_threads=2)
    for t in (1, 2, 3):
        minibatches = [gradients(w, 10 * t + k) for k in range(2)]
        expected.step(minibatches)
        expected.check(optimizer, minibatches, f"at t={t}")


# The step


OPTIONS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "clip_norm": {"clip_norm": 0.5},
    "a norm within the limit": {"clip_norm": 1e9},
    "clip_value": {"clip_value": 0.3},
    "all": {"clip_norm": 3.0, "clip_value": 0.1, "maximize": True, "nonfinite": "raise"},
}


def summed(rows: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows that come, ascending, and the sum of the gradients of each."""
    sums: dict[int, np.ndarray] = {}
    for row, each in zip(rows.tolist(), g, strict=True):
        sums[row] = sums[row] + each if row in sums else each
    return np.array(sorted(sums)), np.array([sums[row] for row in sorted(sums)])


@each_of_rows
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("n_rows", [6, 400])
def test_step_equals_reference(lazy: Case, options: dict[str, Any], n_rows: int) -> None:
    """Tables of both dtypes between whole gradients; the norm adds up the sums of the rows in ascending order."""
    rng = np.random.default_rng(n_rows)
    shapes = {"a": (5, 7), "table": (n_rows, 130), "b": (33,), "wide": (4, 5000), "flat": (n_rows,)}
    params = {key: draw(rng, *shape, dtype=np.float32 if key < "g" else np.float64) for key, shape in shapes.items()}
    arrays = {key: [w.copy(), *lazy.new_state(w)] for key, w in params.items()}
    optimizer = lazy.make(params, num_threads=2, **options)
    scale = (-1 if options.get("maximize") else 1) / 2.0
    for t in (1, 2, 3):
        rows = {key: touched(rng, shapes[key][0]) for key in ("table", "wide", "flat")}
        grads = {key: draw(rng, *shapes[key], dtype=w.dtype) for key, w in params.items()}
        sums = {key: summed(rows[key], grads[key]) if key in rows else (..., grads[key]) for key in params}
        given = {key: fo.RowGrad(rows[key], g) if key in rows else g for key, g in grads.items()}
        optimizer.step(given, grad_scale=2.0)
        norm = fo.reference.norm([g for key in params for g in (sums[key][1] if key in rows else [grads[key]])]) / 2
        limit = options.get("clip_norm", np.inf)
        if "clip_norm" in options:
            assert optimizer.last_grad_norm == norm
        for key, (which, g) in sums.items():
            clipped = scale * limit / norm if norm > limit else scale
            g = fo.reference.gradient([g], g, scale=clipped, clip_value=options.get("clip_value", np.inf))
            parts = [array[which] for array in arrays[key]]
            lazy.reference(parts[0], g, *parts[1:], **lazy.hyper_at(t))
            for array, part in zip(arrays[key], parts, strict=True):
                array[which] = part
            got = [params[key], *(optimizer.state[name][key] for name, _ in fo._core.rule_states[lazy.rule])]
            for a, b in zip(got, arrays[key], strict=True):
                assert_same_bits(a, b, f"{key} t={t}")


def test_update_while_stepping(dtype: type) -> None:
    w, other = normal(0, 6, 3, dtype=dtype), normal(0, 6, 3, dtype=dtype)
    grad = fo.RowGrad(np.array([4, 1, 4]), normal(1, 3, 3, dtype=dtype))
    one, whole = fo.Adam({"w": w}), fo.Adam({"w": other})
    with one.stepping():
        one.update("w", grad)
    whole.step({"w": grad})
    assert_same_bits(w, other)


@pytest.mark.parametrize("nonfinite", ["skip", "raise"])
def test_not_finite(nonfinite: str) -> None:
    """A sum that overflows counts, though each of its terms is finite."""
    big = np.full((2, 2), 3e38, np.float32)
    w = normal(0, 4, 2)
    optimizer, before = fo.SGD({"w": w}, nonfinite=nonfinite), w.copy()
    if nonfinite == "raise":
        with pytest.raises(FloatingPointError, match="the norm of the gradients is inf"):
            optimizer.step({"w": fo.RowGrad(np.array([1, 1]), big)})
        with pytest.raises(FloatingPointError, match=r'grads\["w"\] is not finite'):
            optimizer.step({"w": fo.RowGrad(np.array([1, 2]), big * np.float32(np.inf))})
    else:
        optimizer.step({"w": fo.RowGrad(np.array([1, 1]), big)})
        assert optimizer.skipped == 1
    assert_same_bits(w, before)
    optimizer.step({"w": fo.RowGrad(np.array([1, 2]), big)})
    assert optimizer.t == 1


# Refusals

W = normal(0, 5, 3)
ROWS, VALUES = np.array([0, 4]), normal(1, 2, 3)


REFUSED: dict[str, tuple[Any, Any, type[Exception], str]] = {
    "a list": ([0, 4], VALUES, TypeError, "rows must be a numpy.ndarray, got list"),
    "floats": (ROWS.astype(float), VALUES, TypeError, "rows must be int32 or int64, got float64"),
    "unsigned": (ROWS.astype(np.uint64), VALUES, TypeError, "rows must be int32 or int64, got uint64"),
    "short": (ROWS.astype(np.int16), VALUES, TypeError, "rows must be int32 or int64, got int16"),
    "foreign": (ROWS.astype(">i8"), VALUES, TypeError, "rows must be int32 or int64, got >i8"),
    "a mask": (np.ma.array(ROWS), VALUES, TypeError, "masked array"),
    "booleans": (np.ones(5, bool), VALUES, TypeError, "rows must be int32 or int64, got bool"),
    "two axes": (ROWS.reshape(1, 2), VALUES, ValueError, r"rows must have one axis, got the shape \(1, 2\)"),
    "no axis": (np.array(1), VALUES, ValueError, "rows must have one axis"),
    "strided": (np.array([0, 1, 4])[::2], VALUES, ValueError, "rows must be C-contiguous"),
    "negative": (np.array([0, -1]), VALUES, IndexError, r"rows\[1\] must be a row, in \[0, 5\), got -1"),
    "too large": (np.array([5, 0], np.int32), VALUES, IndexError, r"rows\[0\] must be a row, in \[0, 5\), got 5"),
    "far out": (np.array([0, 2**62]), VALUES, IndexError, "must be a row"),
    "values of another dtype": (ROWS, VALUES.astype(float), TypeError, "must be float32 as"),
    "too few values": (ROWS, VALUES[:1], ValueError, r"must have the shape \(2, 3\), 2 rows of .*, got \(1, 3\)"),
    "narrow values": (ROWS, VALUES[:, :2].copy(), ValueError, r"must have the shape \(2, 3\)"),
    "flat values": (ROWS, VALUES.ravel(), ValueError, r"must have the shape \(2, 3\)"),
    "strided values": (ROWS, normal(1, 3, 2).T, ValueError, "must be C-contiguous"),
}


@pytest.mark.parametrize(("rows", "values", "error", "message"), REFUSED.values(), ids=REFUSED)
def test_refusals(rows: Any, values: Any, error: type[Exception], message: str) -> None:
    arrays = [W.copy(), np.zeros_like(W), np.zeros_like(W)]
    with pytest.raises(error, match=message):
        fo.kernels.adam_rows(arrays[0], rows, values, *arrays[1:])
    assert_same_bits(arrays[0], W)
    optimizer = fo.Adam({"a": np.ones(3), "w": W.copy()})
    with unchanged(optimizer), pytest.raises(error, match=message) as refusal:
        optimizer.step({"a": np.ones(3), "w": fo.RowGrad(rows, values)})
    assert 'grads["w"].' in str(refusal.value)


def test_overlaps() -> None:
    w, v = normal(0, 5, 3), np.zeros((5, 3), np.float32)
    for values in (w[:2], v[3:]):
        with pytest.raises(ValueError, match=r"g_rows and w share memory|v and g_rows share memory"):
            fo.kernels.rmsprop_rows(w, ROWS, values, v)
    optimizer = fo.RMSProp(w)
    for values in (w[:2], optimizer.state["v"][3:]):
        with pytest.raises(ValueError, match=r"grads\.values and (params|v) share memory"):
            optimizer.step(fo.RowGrad(ROWS, values))


def test_a_weight_without_rows() -> None:
    with pytest.raises(ValueError, match="w has no rows"):
        fo.kernels.sgd_rows(np.array(1.0), ROWS, np.ones(2))


@pytest.mark.parametrize(
    ("optimizer", "keywords", "message"),
    [
        (fo.LAMB, {}, "lamb cannot leave out rows"),
        (fo.WindowSGD, {}, "window_sgd cannot leave out rows"),
        (fo.SGD, {"accumulate": 2}, "does not go with accumulate"),
        (fo.SGD, {"ema": 0.9}, "does not go with ema"),
        (fo.Adam, {"weight_decay": 0.1}, "does not go with the L2 penalty weight_decay"),
    ],
)
def test_what_concerns_every_row(optimizer: type[fo.Optimizer], keywords: dict[str, Any], message: str) -> None:
    made = optimizer(W.copy(), **keywords)
    with unchanged(made), pytest.raises(ValueError, match=f"^grads is a RowGrad, .*{message}"):
        made.step(fo.RowGrad(ROWS, VALUES))


def test_zero_grads_and_bind() -> None:
    optimizer = fo.SGD(W.copy())
    with pytest.raises(ValueError, match=r"does not go with zero_grads or bind\(\)"):
        optimizer.step(fo.RowGrad(ROWS, VALUES), zero_grads=True)
    with pytest.raises(ValueError, match=r"does not go with zero_grads or bind\(\)"):
        optimizer.bind(fo.RowGrad(ROWS, VALUES))


# SparseAdam


@pytest.mark.parametrize("keywords", [{}, {"lr": 0.03, "betas": (0.7, 0.95), "eps": 1e-2}], ids=["defaults", "others"])
@pytest.mark.parametrize("maximize", [False, True])
def test_sparse_adam_is_torchs(keywords: dict[str, Any], maximize: bool) -> None:
    """A hundred steps in float64; many rows come twice or more."""
    torch = package("torch")
    rng = np.random.default_rng(0)
    start = rng.uniform(5, 6, (50, 8))
    w, theirs = start.copy(), torch.tensor(start, requires_grad=True)
    ours = fo.SparseAdam(w, maximize=maximize, **keywords)
    optimizer = torch.optim.SparseAdam([theirs], maximize=maximize, **keywords)
    for _ in range(100):
        rows, g = rng.integers(0, 50, 30), rng.normal(size=(30, 8))
        ours.step(fo.RowGrad(rows, g))
        theirs.grad = torch.sparse_coo_tensor(rows[np.newaxis], g, start.shape, check_invariants=False)
        optimizer.step()
    np.testing.assert_allclose(w, theirs.detach().numpy(), rtol=1e-10)


def test_sparse_adam_is_adam_with_another_eps() -> None:
    w, other = normal(0, 9, 4), normal(0, 9, 4)
    schedule = fo.schedules.inverse_sqrt(0.1, n=10)
    sparse, adam = fo.SparseAdam(w, schedule, eps=0.01), fo.Adam(other, schedule)
    for t in range(1, 6):
        grad = fo.RowGrad(np.array([3, 8]), normal(t, 2, 4))
        adam.groups[0].eps = 0.01 / np.sqrt(1 - fo.reference.power(0.999, t))
        sparse.step(grad)
        adam.step(grad)
        assert_same_bits(w, other, t)
    assert sparse.groups[0].eps == 0.01


def test_sparse_adam_goes_on_from_its_state_dict() -> None:
    w = normal(0, 9, 4)
    optimizer = fo.SparseAdam(w)
    optimizer.step(fo.RowGrad(np.array([3, 8]), normal(1, 2, 4)))
    other = w.copy()
    again = fo.SparseAdam(other)
    again.load_state_dict(optimizer.state_dict())
    for each in (optimizer, again):
        each.step(fo.RowGrad(np.array([3, 1]), normal(2, 2, 4)))
    assert_same_bits(w, other)


def test_sparse_adam_refuses_whole_gradients() -> None:
    optimizer = fo.SparseAdam({"w": W.copy()})
    with pytest.raises(TypeError, match="SparseAdam takes RowGrad"):
        optimizer.step({"w": W.copy()})
    with optimizer.stepping(), pytest.raises(TypeError, match="SparseAdam takes RowGrad"):
        optimizer.update("w", W.copy())
    with pytest.raises(TypeError, match="SparseAdam takes RowGrad"):
        optimizer.bind({"w": W.copy()})
    assert optimizer.t == 0


@pytest.mark.parametrize("keyword", [{"accumulate": 2}, {"ema": 0.9}], ids=lambda keyword: next(iter(keyword)))
def test_sparse_adam_refuses_what_no_step_of_it_can_do(keyword: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{next(iter(keyword))} needs whole gradients, and SparseAdam takes rows"):
        fo.SparseAdam(W.copy(), **keyword)


# Row-wise Adagrad against FBGEMM, which is float32, and torch

FBGEMM_RTOL = 1e-5  # of float32 over a hundred steps, whose errors add up


def test_rowwise_adagrad_is_fbgemms() -> None:
    torch = package("torch")
    bags = package("fbgemm_gpu.split_table_batched_embeddings_ops_training")
    n_rows, width = 50, 8
    rng = np.random.default_rng(0)
    start = rng.uniform(5, 6, (n_rows, width)).astype(np.float32)
    theirs = bags.SplitTableBatchedEmbeddingBagsCodegen(
        [(n_rows, width, bags.EmbeddingLocation.HOST, bags.ComputeDevice.CPU)],
        optimizer=bags.OptimType.EXACT_ROWWISE_ADAGRAD,
        pooling_mode=bags.PoolingMode.NONE,
        learning_rate=0.1,
        eps=1e-3,
    )
    theirs.split_embedding_weights()[0].copy_(torch.tensor(start))
    w = start.copy()
    ours = fo.RowWiseAdagrad(w, lr=0.1, eps=1e-3)
    for _ in range(100):
        rows, g = rng.integers(0, n_rows, 30), rng.normal(size=(30, width)).astype(np.float32)
        ours.step(fo.RowGrad(rows, g))
        out = theirs(torch.tensor(rows), torch.arange(len(rows) + 1))
        out.backward(torch.tensor(g))
    np.testing.assert_allclose(w, theirs.split_embedding_weights()[0].numpy(), rtol=FBGEMM_RTOL)


def test_rowwise_adagrad_of_parallel_gradients_is_torchs_adagrad() -> None:
    """In float64: rows whose gradients are s times a vector of mean square 1 move by torch's Adagrad of s times it."""
    torch = package("torch")
    rng = np.random.default_rng(0)
    direction = rng.normal(size=(5, 8))
    direction /= np.sqrt(np.mean(direction**2, axis=1, keepdims=True))
    w, along = np.zeros((5, 8)), torch.zeros((5, 1), dtype=torch.float64, requires_grad=True)
    ours, theirs = fo.RowWiseAdagrad(w, lr=0.1, eps=1e-3), torch.optim.Adagrad([along], lr=0.1, eps=1e-3)
    for _ in range(100):
        s = rng.normal(size=(5, 1))
        ours.step(s * direction)
        along.grad = torch.tensor(s)
        theirs.step()
    np.testing.assert_allclose(w, along.detach().numpy() * direction, rtol=1e-10)
