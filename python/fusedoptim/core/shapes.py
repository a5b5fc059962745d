"""The shapes of state arrays."""


def state_shape(kind: str, weight: tuple[int, ...], slots: int = 1) -> tuple[int, ...]:
    """The shape of a state of this kind, for a weight of this shape and a ring of so many slots.

    >>> state_shape("rows", (2, 3, 4)), state_shape("columns", (2, 3, 4)), state_shape("axes", (2, 3, 4))
    ((2, 3, 1), (2, 1, 4), (9,))
    """
    vector = len(weight) < 2
    return {
        "weight": weight,
        "ring": (slots, *weight),
        "tensor": (),
        "row": weight[:1],
        "rows": weight if vector else (*weight[:-1], 1),
        "columns": () if vector else (*weight[:-2], 1, weight[-1]),
        "axes": (sum(weight) if weight else 1,),
    }[kind]
