"""The half of an optimizer that keeps: its counters and arrays, how they are saved, loaded and averaged, and who is let in."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

from fusedoptim import _core
from fusedoptim.core import checks, tree
from fusedoptim.core.groups import Group
from fusedoptim.core.lock import Turn, wholly
from fusedoptim.core.tensors import Array, Tensor
from fusedoptim.saved import checkpoint, state_dict, torch_state
from fusedoptim.saved.fields import count

SHOWN = 8  # groups in the words of an optimizer


class Stateful:
    """What the class :class:`Optimizer` has of its state; the optimizer makes it, and its steps change it."""

    rule: str
    carried: ClassVar[dict[str, float] | None] = None  # what a group carries from step to step at first, if it does
    params: Any
    state: dict[str, Any]
    groups: list[Group]
    _plan: _core.Plan  # which also counts: a step changes arrays and counters in one
    _options: _core.Options
    _accumulate: int  # gradients of an update
    _grad_scale: float
    _skeleton: Any  # of `params`
    _tensors: list[Tensor]
    _turn: Turn
    _block: str | None  # the `with` block that the program is in,
    _block_lr: float | None  # the learning rate that it was given,
    _block_values: list[list[Any]] | None  # and the hyper-parameters of each group, once a step has begun in it

    def __repr__(self) -> str:
        n = _counted(sum(tensor.weight.size for tensor in self._tensors), "parameter")
        tensors = _counted(len(self._tensors), "tensor")
        of_state = sum(state.nbytes for tensor in self._tensors for state in tensor.states.values())
        frozen = sum(tensor.frozen for tensor in self._tensors)
        variant = f" ({self.rule})" if self.rule != getattr(type(self), "rule", self.rule) else ""
        which = f"{type(self).__name__}{variant}, t={self.t}"
        left_out = f" ({frozen} frozen)" if frozen else ""
        lines = [f"{which}: {n} in {tensors}{left_out}, {_counted(of_state, 'byte')} of state"]
        for k, group in enumerate(self.groups[:SHOWN]):
            which = f"group {k}: " if len(self.groups) > 1 else ""
            now = f"; lr now {group.current_lr!r}" if callable(group.lr) else ""
            lines.append(f"    {which}{group._words()}{now}")
        if len(self.groups) > SHOWN:
            lines.append(f"    … {len(self.groups) - SHOWN} more groups")
        return "\n".join(lines)

    @property
    def t(self) -> int:
        """Number of updates done."""
        return self._plan.t

    @t.setter
    def t(self, t: int) -> None:
        t = count("t", t)
        with self._turn():
            self._refuse_amid("set t")
            carried = [group._carried_by(self.t) for group in self.groups]

            def commit() -> None:
                for group, numbers in zip(self.groups, carried, strict=True):
                    vars(group).update(_carried={t: numbers})
                self._plan.t = t

            wholly(commit)

    @property
    def skipped(self) -> int:
        """Number of steps not taken for a gradient that was not finite."""
        return self._plan.skipped

    @skipped.setter
    def skipped(self, skipped: int) -> None:
        self._plan.skipped = count("skipped", skipped)

    @property
    def last_grad_norm(self) -> float | None:
        """Norm of the gradients of the last step, if it was asked for."""
        return self._plan.norm

    @last_grad_norm.setter
    def last_grad_norm(self, norm: float | None) -> None:
        self._plan.norm = norm

    @property
    def _accumulated(self) -> int:
        return self._plan.accumulated

    def _refuse_amid(self, what: str) -> None:
        if self._block is not None:
            raise RuntimeError(f"cannot {what} inside `with opt.{self._block}():`")

    @contextmanager
    def _inside(self, block: str, what: str, lr: float | None = None) -> Iterator[None]:
        entered = False
        try:  # around all of it, for an interrupt may come as soon as the lock is given back
            with self._turn():
                self._refuse_amid(what)
                entered, self._block, self._block_lr = True, block, lr
            yield
        finally:
            if entered:
                self._block = self._block_lr = self._block_values = None

    # -- averaged weights ----------------------------------------------------------------------------------------------

    @property
    def ema_params(self) -> Any:
        """The running average of the weights, a nest as `params`; needs ``ema=decay``."""
        if "ema" not in self.state:
            raise AttributeError(f"{type(self).__name__} keeps no average of the weights; make it with ema=0.999")
        return self.state["ema"]

    @contextmanager
    def using_ema(self) -> Iterator[None]:
        """Swaps the averaged weights into `params` for the time of the ``with`` block, to evaluate with them.

        They are swapped back when it ends, also by an exception. Take no step inside.

        Raises
        ------
        AttributeError
            where the optimizer was made without `ema`.
        RuntimeError
            within :meth:`stepping`.

        Examples
        --------
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> w = np.array([1.0])
        >>> opt = fo.SGD(w, lr=1.0, ema=0.5)
        >>> opt.step(np.array([1.0]))
        >>> with opt.using_ema():
        ...     print(w)
        [0.5]
        >>> w
        array([0.])
        """
        averages = tree.leaves(self._skeleton, self.ema_params, "ema")
        with self._swapped("using_ema", lambda: averages):
            yield

    @contextmanager
    def _swapped(self, block: str, averages: Callable[[], list[Array]]) -> Iterator[None]:
        """Exchanges the weights with these arrays until the block ends: compiled, all of them between two signals."""
        with self._inside(block, "use the averaged weights"):
            swap = _core.new_swap([(t.weight, average) for t, average in zip(self._tensors, averages(), strict=True)])
            try:
                swap.there()
                yield
            finally:
                swap.back()

    # -- state dicts ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that a later run needs besides the weights: a plain dict of numbers, arrays and the rule's name.

        A learning rate that is a schedule is left out: it belongs to the program that goes on, and so do the keywords of
        :class:`~fusedoptim.Common` and what is frozen.

        Returns
        -------
        dict
            ``"rule"``, the name; ``"t"``, ``"accumulated"`` (gradients summed towards the next update) and ``"skipped"``,
            numbers; ``"groups"``, a list with the hyper-parameters of each group; ``"state"``, a nest of arrays for each
            name of `state`.

        Examples
        --------
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> opt = fo.Momentum(np.zeros(1), lr=0.5)
        >>> opt.step(np.ones(1))
        >>> opt.state_dict()["groups"]
        [{'lr': 0.5, 'beta': 0.9, 'weight_decay': 0.0}]
        """
        with self._turn():
            self._refuse_amid("save a state")
            return state_dict.save(self)

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Goes on where :meth:`state_dict` was taken, with the same bits.

        Parameters
        ----------
        saved : dict
            Of an optimizer that was made in the same way. A learning rate in it replaces the present one.

        Raises
        ------
        TypeError, ValueError
            where the dict is not of an optimizer of this kind over parameters like these; nothing has changed then.
        RuntimeError
            within :meth:`stepping`.

        Examples
        --------
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> opt = fo.Momentum(np.zeros(1), lr=0.5)
        >>> opt.step(np.ones(1))
        >>> again = fo.Momentum(np.zeros(1))
        >>> again.load_state_dict(opt.state_dict())
        >>> again.t, again.lr
        (1, 0.5)
        """
        with self._turn():
            self._refuse_amid("load a state")
            state_dict.load(self, saved)

    def save(self, path: str | os.PathLike[str], *, weights: bool = True) -> None:
        """Writes all that a later run needs into a safetensors file. Needs the package safetensors.

        Whenever the process is killed or the machine stops, there is the old file or the new one, whole.

        Parameters
        ----------
        path : path
            A file there is replaced; of a link, the one that it leads to. The mode is that of any new file.
        weights : bool, default True
            Whether the weights are in it, besides what :meth:`state_dict` has and the schedules of
            :mod:`fusedoptim.schedules`.

        Raises
        ------
        OSError
            where the system refuses, or there is something else than a file; what was there stays.
        ValueError
            where two keys of `params` print alike, for a file has tensors by name.
        RuntimeError
            within :meth:`stepping`, :meth:`using_ema` and the like.
        ModuleNotFoundError
            without safetensors.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> path = pathlib.Path(tempfile.mkdtemp(), "run.safetensors")
        >>> w = np.zeros(2)
        >>> opt = fo.Momentum(w, lr=fo.schedules.cosine(0.5, n=100))
        >>> opt.step(np.ones(2))
        >>> opt.save(path)
        >>> again = fo.Momentum(np.zeros(2))
        >>> again.load(path)
        >>> again.t, again.lr == 0.5, np.array_equal(again.params, w)
        (1, False, True)
        """
        with self._turn():
            self._refuse_amid("save a state")
            checkpoint.save(self, path, checks.flag("weights", weights))

    def load(self, path: str | os.PathLike[str]) -> None:
        """Goes on where :meth:`save` was called, with the same bits.

        The optimizer is made in the same way before; a file has no keywords of :class:`~fusedoptim.Common`, no other
        arguments that are not a group's, as the `seed` of :class:`NoisySGD`, and not what is frozen. Weights in it are
        written into the arrays of `params`; a file without leaves them. The file is read as a whole first, which takes memory
        of its size.

        Parameters
        ----------
        path : path

        Raises
        ------
        ValueError
            where the file is damaged, or not of such an optimizer over parameters like these, or of another format.
            Nothing has changed then.
        OSError
            where the system refuses.
        RuntimeError
            as :meth:`save`.
        ModuleNotFoundError
            without safetensors.

        Notes
        -----
        The learning rate in the file replaces the present one. A function that is not of :mod:`fusedoptim.schedules` cannot be
        named in a file: the present one is kept then, and must be a function too. A present
        :class:`~fusedoptim.schedules.Plateau` stays the object that it is, and takes over the numbers of that in the file.
        """
        with self._turn():
            self._refuse_amid("load a state")
            checkpoint.load(self, path)

    def to_torch_state_dict(self) -> dict[str, Any]:
        """What ``load_state_dict`` of the same optimizer in torch takes, to go on there.

        Its parameters must come in the order of the leaves here. A schedule gives the learning rate of the next step. Needs
        torch.

        Raises
        ------
        TypeError
            where torch.optim has no such optimizer.
        ValueError
            where a hyper-parameter has no counterpart there.
        """
        with self._turn():
            self._refuse_amid("save a state")
            return torch_state.save(self)

    def from_torch_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Goes on where the same optimizer in torch stopped: `saved` is its ``state_dict()``, of tensors on the CPU or arrays.

        The number of steps, all states and hyper-parameters are taken over; a running average of the weights and a sum of
        gradients, which torch does not have, stay as they are.

        Raises
        ------
        TypeError, ValueError
            where it is not of such an optimizer over parameters like these; nothing has changed then.
        """
        with self._turn():
            self._refuse_amid("load a state")
            torch_state.load(self, saved)


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"
