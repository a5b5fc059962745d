"""The parameters of a sharded optimizer: the nests that the program has, and the pieces that this rank owns."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fusedoptim.core import tree
from fusedoptim.core.storage import Array
from fusedoptim.distributed.arenas import Arenas, view_of_piece
from fusedoptim.distributed.layout import Piece, Whole
from fusedoptim.distributed.transport import Transport

Spec = dict[str, Any]  # a group, as an optimizer takes it


@dataclass
class Holdings:
    """All tensors in the order of the groups, and of those this rank's pieces; lists have what belongs to each."""

    transport: Transport
    rule: str
    bucket_bytes: int
    grouped: bool
    arenas: list[Arenas] = field(default_factory=list)
    skeletons: list[Any] = field(default_factory=list)  # of each group
    keys: list[tuple[Any, ...]] = field(default_factory=list)  # of each tensor, the first of which is its group
    wholes: list[Whole] = field(default_factory=list)
    weights: list[Array] = field(default_factory=list)
    grads: list[Array] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    of_group: list[dict[int, Array]] = field(default_factory=list)  # the gradient of each piece, by its number
    params: Any = None  # the nests of the program
    gradients: Any = None

    def add(self, specs: list[Spec]) -> list[Spec]:
        """Copies parameters into arenas; returns the groups of their pieces."""
        first_group, leaves = len(self.skeletons), []
        wholes: list[Whole] = []
        for k, spec in enumerate(specs, start=first_group):
            skeleton = tree.skeleton(spec["params"], "params")
            self.skeletons.append(skeleton)
            self.keys += [(k, *key) for key in tree.keys(skeleton)]
            leaves += tree.leaves(skeleton, spec["params"], "params")
        for index, leaf in enumerate(leaves, start=len(self.wholes)):
            wholes.append(Whole(index, leaf.shape, leaf.dtype))
        arenas = Arenas.make(wholes, self.rule, self.transport, self.bucket_bytes)
        self.wholes += wholes
        self.arenas.append(arenas)
        for whole, leaf in zip(wholes, leaves, strict=True):
            self.weights.append(arenas.view(arenas.weights, whole))
            self.grads.append(arenas.view(arenas.grads, whole))
            np.copyto(self.weights[-1], leaf)
        self.params, self.gradients = self.nest(self.weights), self.nest(self.grads)
        return self._own(arenas, specs, first_group)

    def _own(self, arenas: Arenas, specs: list[Spec], first_group: int) -> list[Spec]:
        weights: list[dict[int, Array]] = [{} for _ in specs]
        self.of_group += [{} for _ in specs]
        for number, piece in enumerate(arenas.pieces(self.transport.rank), start=len(self.pieces)):
            self.pieces.append(piece)
            group = self.group_of(number)
            self.of_group[group][number] = view_of_piece(arenas.grads.own, piece, self.rule)
            weights[group - first_group][number] = view_of_piece(arenas.weights.own, piece, self.rule)
        return [{**spec, "params": own} for spec, own in zip(specs, weights, strict=True)]

    def group_of(self, number: int) -> int:
        """That of a piece."""
        group: int = self.keys[self.pieces[number].whole.index][0]
        return group

    @property
    def paths(self) -> list[str]:
        """What the program writes after `params` to get at a tensor."""
        return [tree.path(key if self.grouped else key[1:]) for key in self.keys]

    def nest(self, leaves: list[Any]) -> Any:
        """These, one for each tensor, as the program has its parameters."""
        each = iter(leaves)
        nests = [tree.build(skeleton, each) for skeleton in self.skeletons]
        return nests if self.grouped else nests[0]

    def leaves(self, nest: Any, name: str) -> list[Any]:
        return tree.leaves(self.skeletons if self.grouped else self.skeletons[0], nest, name)

    def below(self, key: Any) -> list[int]:
        """The tensors at a place in the nest of the program, or in a part of it."""
        place = key if isinstance(key, tuple) else (key,)
        own = [full if self.grouped else full[1:] for full in self.keys]
        found = [k for k, full in enumerate(own) if full[: len(place)] == place]
        if not found:
            raise KeyError(f"no parameter has the key {key!r}; there are {own[:9]}")
        return found

    def pieces_of(self, rank: int) -> list[Piece]:
        """What a rank owns, but for empty ones."""
        return [piece for arenas in self.arenas for bucket in arenas.layout.buckets for piece in bucket.pieces[rank]]
