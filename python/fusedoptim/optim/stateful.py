"""The half of an optimizer that keeps: its counters and arrays, how they are saved, loaded and averaged, and who is let in."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, Generic

from fusedoptim import _core
from fusedoptim.core import checks, tree
from fusedoptim.core.groups import Carried, Group
from fusedoptim.core.lock import Turn, wholly
from fusedoptim.core.nest import N
from fusedoptim.core.storage import Array, rounded
from fusedoptim.core.tensors import Tensor
from fusedoptim.numerics.numbers import plain_number, shown
from fusedoptim.saved import checkpoint, state_dict, torch_state
from fusedoptim.saved.fields import count

SHOWN = 8  # groups in the words of an optimizer
Counts = tuple[int, int, int]  # of a cohort: its group, the steps it has taken, and those that its averages have


class Stateful(Generic[N]):
    """What the class :class:`Optimizer` has of its state; the optimizer makes it, and its steps change it."""

    rule: str
    carried: ClassVar[dict[str, float] | None] = None  # what a group carries from step to step at first, if it does
    _params: Any
    _state: dict[str, Any]
    _groups: list[Group]
    _carried: list[Carried]  # of each cohort
    _plan: _core.Plan  # which also counts: a step changes arrays and counters in one
    _options: _core.Options
    _accumulate: int  # gradients of an update
    _grad_scale: float
    _skeleton: Any  # of `params`
    _tensors: list[Tensor]
    _slots: int  # of a ring
    _turn: Turn
    _block: str | None  # the `with` block that the program is in,
    _block_lr: float | None  # the learning rate that it was given,
    _block_values: (
        list[list[Any]] | None
    )  # and the hyper-parameters of each group or cohort, once a step has begun in it
    _block_cohorts: list[int] | None  # and, if these are of cohorts, that of each tensor

    @property
    def params(self) -> N:
        """The nest of arrays that are updated in place, or a list with that of each group."""
        nest: N = self._params
        return nest

    @property
    def state(self) -> dict[str, N]:
        """The running averages and the like by name, each a nest as `params`."""
        return self._state

    def state_as_float(self, name: str) -> N:
        """A copy of a state as the float32 that its arrays mean, 16 or 8 bits, a nest as `params`.

        Parameters
        ----------
        name : str
            That of a state, or "params" for the weights, of which the exact ones are meant where `rounding` is "split".

        Raises
        ------
        KeyError
            where there is no such state.

        Examples
        --------
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> opt = fo.Momentum(np.zeros(3, np.float32), lr=0.5, state_dtype="float8")
        >>> opt.step(np.float32([1, 2, -4]))
        >>> opt.state["m"].dtype, opt.state_as_float("m")
        (dtype('uint8'), array([ 0.1015625,  0.203125 , -0.40625  ], dtype=float32))
        """
        if name != "params" and name not in self.state:
            raise KeyError(f"no state has the name {shown(name)}; there are {list(self.state)}")
        with self._turn():
            self._plan.check()
            floats = [tensor.as_float(name, self.rule) for tensor in self._tensors]
        nest: N = tree.build(self._skeleton, iter(floats))
        return nest

    @property
    def groups(self) -> list[Group]:
        """The parameters that share their hyper-parameters."""
        return self._groups

    @property
    def steps(self) -> Any:
        """The number of steps that each parameter has taken, a nest as `params`: those while it was there and not left out."""
        steps = [cohort[1] for cohort in self._plan.cohorts]
        return tree.build(self._skeleton, iter([steps[cohort] for cohort, _ in self._plan.members]))

    def __repr__(self) -> str:
        n = _counted(sum(tensor.weight.size for tensor in self._tensors), "parameter")
        tensors = _counted(len(self._tensors), "tensor")
        of_state = sum(state.nbytes for tensor in self._tensors for state in tensor.states.values())
        frozen = sum(frozen for _, frozen in self._plan.members)
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
            carried = [
                own.get(cohort[1], {}) for own, cohort in zip(self._carried_now(), self._plan.cohorts, strict=True)
            ]

            def commit() -> None:
                self._plan.t = t
                self._carried[:] = [{c[1]: own} for own, c in zip(carried, self._plan.cohorts, strict=True)]

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
        self._plan.norm = None if norm is None else plain_number("last_grad_norm", norm)

    @property
    def accumulated(self) -> int:
        """Number of gradients that are summed up towards the next update: see `accumulate` and :meth:`~fusedoptim.Optimizer.flush`."""
        return self._plan.accumulated

    def _counts(self) -> tuple[list[Counts], list[tuple[int, bool]]]:
        """What the plan counts: of each cohort its group, steps and averages; of each tensor its cohort, and if frozen."""
        return [(group, steps, averages) for group, steps, averages, _ in self._plan.cohorts], self._plan.members

    def _carried_now(self) -> list[Carried]:
        """What each cohort carries: a new one, what that did of which it was part."""
        for *_, origin in self._plan.cohorts[len(self._carried) :]:
            self._carried.append(self._carried[origin])
        return self._carried

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
                # In one call, and past __setattr__, where an interrupt could come between.
                self.__dict__.update(_block=None, _block_lr=None, _block_values=None, _block_cohorts=None)

    # -- averaged weights ----------------------------------------------------------------------------------------------

    @property
    def ema_params(self) -> N:
        """The running average of the weights, a nest as `params`; needs ``ema=decay``."""
        if "ema" not in self.state:
            raise AttributeError(f"{type(self).__name__} keeps no average of the weights; make it with ema=0.999")
        with self._turn():
            self._plan.check()
            self._plan.begin()
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
        >>> w = np.array([3.0])
        >>> opt = fo.SGD(w, lr=1.0, ema=0.5)
        >>> for g in 3.0, -3.0:
        ...     opt.step(np.array([g]))  # to 0, and back
        >>> with opt.using_ema():
        ...     print(w)
        [2.]
        >>> w
        array([3.])
        """
        averages = tree.leaves(self._skeleton, self.ema_params, "ema")
        with self._swapped("using_ema", lambda: averages):
            yield

    @contextmanager
    def _swapped(self, block: str, averages: Callable[[], list[Array]]) -> Iterator[None]:
        """Exchanges the weights with these arrays until the block ends: compiled, all of them between two signals."""
        with self._inside(block, "use the averaged weights"):
            self._plan.check()
            self._plan.begin()
            swap = _core.new_swap(_exchanged(self._tensors, averages()))
            try:
                swap.there()
                yield
            finally:
                swap.back()

    # -- state dicts ---------------------------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """A copy of all that a later run needs besides the weights: a plain dict of numbers, arrays and the rule's name.

        The keywords of :class:`~fusedoptim.Common` and what is frozen belong to the program that goes on.

        Returns
        -------
        dict
            ``"rule"``, the name; ``"t"``, ``"accumulated"`` (gradients summed towards the next update) and ``"skipped"``,
            numbers; ``"groups"``, a list with the hyper-parameters of each group; ``"cohorts"``, the counts of parameters
            that have always stepped together, and ``"members"``, the cohort of each parameter by its place; ``"state"``, a
            nest of arrays for each name of `state`. A schedule of :mod:`fusedoptim.schedules` is there by name and arguments, as
            ``{"schedule": {"name": "cosine", "lr": 0.1, …}}``, any other function as ``{"schedule": None}``.

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
            self._plan.check()
            return state_dict.save(self)

    def load_state_dict(self, saved: Mapping[str, Any], *, hyper: str = "saved", convert: bool = False) -> None:
        """Goes on where :meth:`state_dict` was taken, with the same bits.

        Parameters
        ----------
        saved : dict
            Of an optimizer of this class over parameters of the same keys, shapes and dtypes.
        hyper : {"saved", "program"}, default "saved"
            Whose hyper-parameters and schedules count: the saved ones, or those that this optimizer has.
        convert : bool, default False
            Whether arrays may be in other bits than here, as float32 where this optimizer keeps 8: they are taken by the
            numbers that they mean, rounded to nearest where they do not fit.

        Warns
        -----
        UserWarning
            once, with all that is overruled: hyper-parameters that differ, and an average of the weights that only one of
            the two keeps.

        Raises
        ------
        TypeError, ValueError
            where the dict is not of an optimizer of this kind over parameters like these; nothing has changed then.
        RuntimeError
            within :meth:`stepping`.

        Notes
        -----
        A function that is not of :mod:`fusedoptim.schedules` cannot be named: the present learning rate is kept then, and
        must be a function too. A present :class:`~fusedoptim.schedules.Plateau` stays the object that it is, and takes over
        the numbers of the saved one.

        The sum of gradients of `accumulate` is nothing between two updates, and may be missing on either side then. An
        average of the weights (`ema`) that was not saved begins at the weights, one that this optimizer does not keep is
        left out.

        Examples
        --------
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> opt = fo.Momentum(np.zeros(1), lr=fo.schedules.cosine(0.5, n=100))
        >>> opt.step(np.ones(1))
        >>> again = fo.Momentum(np.zeros(1), lr=fo.schedules.cosine(0.5, n=100))
        >>> again.load_state_dict(opt.state_dict())
        >>> again.t
        1
        """
        checks.one_of("hyper", hyper, tuple(state_dict.WHOSE))
        with self._turn():
            self._refuse_amid("load a state")
            self._plan.check()
            state_dict.load(self, saved, hyper, checks.flag("convert", convert))

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        weights: bool = True,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Writes all that a later run needs into a safetensors file. Needs the package safetensors.

        Whenever the process is killed or the machine stops, there is the old file or the new one, whole.

        Parameters
        ----------
        path : path
            A file there is replaced; of a link, the one that it leads to. The mode is that of any new file.
        weights : bool, default True
            Whether the weights are in it, besides what :meth:`state_dict` has.
        metadata : dict, optional
            What the program wants to find again, as an epoch or the state of a random number generator: strings, numbers,
            bools, None, and lists and dicts of them. Arrays and scalars of NumPy go by value; they and tuples come back as
            lists. At most 256 KiB as JSON.

        Raises
        ------
        OSError
            where the system refuses, or there is something else than a file; what was there stays.
        TypeError, ValueError
            where `metadata` has something else; where a key of `params` is no string, bytes, number, None or tuple of
            them, for another process would not find it in the file. Nothing is written then.
        RuntimeError
            within :meth:`stepping`, :meth:`using_ema` and the like.
        ImportError
            without safetensors, or with one before 0.4.4.

        Examples
        --------
        >>> import tempfile, pathlib
        >>> import numpy as np
        >>> import fusedoptim as fo
        >>> path = pathlib.Path(tempfile.mkdtemp(), "run.safetensors")
        >>> w, rng = np.zeros(2), np.random.default_rng(0)
        >>> opt = fo.Momentum(w, lr=0.5)
        >>> opt.step(np.ones(2))
        >>> opt.save(path, metadata={"epoch": 3, "rng": rng.bit_generator.state})
        >>> again = fo.Momentum(np.zeros(2), lr=0.5)
        >>> found = again.load(path)
        >>> again.t, np.array_equal(again.params, w), found["epoch"], found["rng"] == rng.bit_generator.state
        (1, True, 3, True)
        """
        with self._turn():
            self._refuse_amid("save a state")
            self._plan.check()
            checkpoint.save(self, path, checks.flag("weights", weights), metadata)

    def load(self, path: str | os.PathLike[str], *, hyper: str = "saved", convert: bool = False) -> dict[str, Any]:
        """Goes on where :meth:`save` was called, with the same bits.

        The optimizer is made in the same way before; a file has no keywords of :class:`~fusedoptim.Common`, no other
        arguments that are not a group's, as the `seed` of :class:`NoisySGD`, and not what is frozen. Weights in it are
        written into the arrays of `params`; a file without leaves them. The file is read as a whole first, which takes memory
        of its size. All else is as with :meth:`load_state_dict`.

        Parameters
        ----------
        path : path
        hyper : {"saved", "program"}, default "saved"
            Whose hyper-parameters and schedules count.
        convert : bool, default False
            Whether arrays may be in other bits than here, as for :meth:`load_state_dict`.

        Returns
        -------
        dict
            The `metadata` that :meth:`save` was given, or an empty one.

        Warns
        -----
        UserWarning
            as :meth:`load_state_dict`.

        Raises
        ------
        ValueError
            where the file is damaged, or not of such an optimizer over parameters like these, or of another format.
            Nothing has changed then.
        OSError
            where the system refuses.
        RuntimeError
            as :meth:`save`.
        """
        checks.one_of("hyper", hyper, tuple(state_dict.WHOSE))
        with self._turn():
            self._refuse_amid("load a state")
            self._plan.check()
            return checkpoint.load(self, path, hyper, checks.flag("convert", convert))

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
            self._plan.check()
            return torch_state.save(self)

    def from_torch_state_dict(self, saved: Mapping[str, Any], *, hyper: str = "saved") -> None:
        """Goes on where the same optimizer in torch stopped.

        A parameter without a state there, as one that is frozen or was not used, has one of zeros here. An average of the
        weights, which torch does not have, begins at the weights.

        Parameters
        ----------
        saved : dict
            Its ``state_dict()``, of tensors on the CPU or arrays.
        hyper : {"saved", "program"}, default "saved"
            Whose hyper-parameters count.

        Warns
        -----
        UserWarning
            as :meth:`load_state_dict`.

        Raises
        ------
        TypeError, ValueError
            where it is not of such an optimizer over parameters like these, AdamW's for Adam for one; nothing has changed
            then.
        """
        checks.one_of("hyper", hyper, tuple(state_dict.WHOSE))
        with self._turn():
            self._refuse_amid("load a state")
            self._plan.check()
            torch_state.load(self, saved, hyper)


def _exchanged(tensors: list[Tensor], averages: list[Array]) -> list[tuple[Array, Array]]:
    """Weights, and copies of them, each with its average, which is rounded where they are."""
    pairs = []
    for tensor, average in zip(tensors, averages, strict=True):
        pairs.append((tensor.weight, rounded(average, tensor.weight)))
        if tensor.copy is not None:
            pairs.append((tensor.copy, rounded(average, tensor.copy)))
    return pairs


def _counted(n: int, what: str) -> str:
    return f"{n:,} {what}{'s' * (n != 1)}"
