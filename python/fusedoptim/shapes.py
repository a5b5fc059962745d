"""The shapes of state arrays."""


def state_shape(kind: str, weight: tuple[int, ...], rows: int = 1) -> tuple[int, ...]:
    """For a weight of this shape, and a ring of so many rows.

    >>> state_shape("rows", (2, 3, 4)), state_shape("columns", (2, 3, 4)), state_shape("axes", (2, 3, 4))
    ((2, 3, 1), (2, 1, 4), (9,))
    """
    vector = len(weight) < 2
    return {
        "weight": weight,
        "ring": (rows, *weight),
        "tensor": (),
        "row": weight[:1],
        "rows": weight if vector else (*weight[:-1], 1),
        "columns": () if vector else (*weight[:-2], 1, weight[-1]),
        "axes": (sum(weight) if weight else 1,),
    }[kind]
