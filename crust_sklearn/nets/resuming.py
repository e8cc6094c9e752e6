"""ResumingMixin: a net that is saved whole, and goes on with a call that was cut off."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from .._aside import remove_asides, written_aside
from .callback_states import set_states
from .state_file import (
    collect,
    find_state,
    get_state_path,
    read_state,
    refuse,
    restore,
    restore_published,
    unpack,
    write,
)
from .training import Event, Training
from .unwritten import explain_unwritten, is_path

# Of a call: what tells its rows, labels and weights; the epochs before it; whether it was stopped.
Call = tuple[str, int, bool]
STATE, HISTORY = "state", "history"

# At the end of these a net can be saved so that training goes on from there.
WHOLE_EVENTS = ("on_epoch_end", "on_train_end")


class ResumingMixin:
    """Let skorch's checkpoints hold all of a net, and a call that was killed go on from them.

    Beside the history that a ``Checkpoint`` or ``TrainEndCheckpoint`` writes, ``history.json``, the
    net writes one file with everything, ``history.state.pt``: modules, optimizers, history, what
    the method has learnt, its seed, and what callbacks know of the epochs before (those of scores,
    ``EarlyStopping``, ``LRScheduler``, and others that have ``state_dict`` and
    ``load_state_dict``). Where it is there, ``load_params(checkpoint=...)`` takes all from it.

    With ``LoadInitState``, a script that is run again after a kill ends with the net that it would
    have ended with: bit for bit, on one machine. Unlike in skorch, a call that goes on trains up to
    its end, `max_epochs` epochs with those of the file, and not `max_epochs` more; a call that was
    over trains nothing; and so do calls of `partial_fit` before the one that was killed.

    Notes
    -----
    All files that have a path are written aside, brought to the disk and renamed. A file is checked
    as a whole before anything is changed, and loaded without executing pickles. What a net keeps in
    attributes of its own, beside `state_`, is not in it. A file costs one write of the weights and
    the optimizer more than skorch's; a checkpoint's ``f_params``, ``f_optimizer`` and
    ``f_criterion`` can be None. A kill within a checkpoint may leave a file ``.*.aside``, which
    the run that goes on removes. An interrupt within an epoch, with a ``TrainEndCheckpoint``, is no
    kill: the net then goes on from what it has saved, in the next epoch.

    Examples
    --------
    The same lines, run after a kill, end with the same net; here they are over, and train no more:

    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from skorch.callbacks import Checkpoint, LoadInitState
    >>> from crust_sklearn import NoisyLabelClassifier
    >>> from crust_sklearn.modules import MLP
    >>> X, y = load_iris(return_X_y=True)
    >>> def run(folder):
    ...     checkpoint = Checkpoint(monitor=None, dirname=folder)
    ...     callbacks = [checkpoint, LoadInitState(checkpoint)]
    ...     return NoisyLabelClassifier(
    ...         MLP, callbacks=callbacks, max_epochs=3, verbose=0
    ...     ).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     first, again = run(folder), run(folder)
    >>> len(again.history), bool((again.predict_proba(X) == first.predict_proba(X)).all())
    (3, True)
    """

    training_: Training | None
    max_epochs: int
    calls_: tuple[Call, ...] = ()
    # Those of a file that training goes on with, and that have not been asked for again.
    replay_: tuple[Call, ...] = ()

    # -- files ----------------------------------------------------------------------------

    def save_params(
        self,
        f_params: Any = None,
        f_optimizer: Any = None,
        f_criterion: Any = None,
        f_history: Any = None,
        use_safetensors: bool = False,
        f_state: Any = None,
        **kwargs: Any,
    ) -> None:
        """Save parts of the net, as skorch does, or all of it.

        Parameters
        ----------
        f_params, f_optimizer, f_criterion, f_history : str, path, file-like or None, default=None
            As in skorch.
        use_safetensors : bool, default=False
            Whether modules are saved by safetensors.
        f_state : str, path, file-like or None, default=None
            Where to save all that has been learnt: weights, optimizer, history, `state_`, classes.
        **kwargs : dict
            ``f_...`` of other modules.

        Raises
        ------
        OSError
            If a file cannot be written; the old one then stays. Of a callback such as
            ``Checkpoint``, too, which would only print it.
        """
        event = None if self.training_ is None else self.training_.event
        files = {"f_params": f_params, "f_optimizer": f_optimizer, "f_criterion": f_criterion}
        files |= {"f_history": f_history} | kwargs
        given = {name: target for name, target in files.items() if target is not None}
        is_nothing = not given and f_state is None
        if f_state is not None:
            self._save_due(event, STATE, f_state)
        if event is not None and is_path(given.get("f_history")):
            # After the callbacks of the event, which may record more.
            event.due.append((HISTORY, given.pop("f_history")))
        if given or is_nothing:
            self._save_parts(event, given, use_safetensors)

    def _save_due(self, event: Event | None, kind: str, target: Any) -> None:
        if event is None:
            self._write_state(target)
        else:
            event.due.append((kind, target))

    def _save_parts(
        self, event: Event | None, files: dict[str, Any], use_safetensors: bool
    ) -> None:
        try:
            with ExitStack() as stack:
                asides = dict(files)
                for name, target in files.items():
                    if is_path(target):
                        asides[name] = aside = stack.enter_context(written_aside(target))
                        if name != "f_history":  # which skorch opens itself, for text
                            # Torch's own files do not tell what the system said.
                            asides[name] = stack.enter_context(open(aside, "wb"))
                super().save_params(**asides, use_safetensors=use_safetensors)  # type: ignore[misc]
        except (OSError, RuntimeError) as error:
            explained = explain_unwritten(list(files.values()), error)
            if event is not None and event.failure is None:
                event.failure = explained
            raise explained from error

    def _write_state(self, target: Any) -> None:
        self.check_is_fitted(["module_"])  # type: ignore[attr-defined]
        content = collect(self)
        try:
            write(content, target)
        except (OSError, RuntimeError) as error:
            raise explain_unwritten([target], error) from error

    def load_params(
        self,
        f_params: Any = None,
        f_optimizer: Any = None,
        f_criterion: Any = None,
        f_history: Any = None,
        checkpoint: Any = None,
        use_safetensors: bool = False,
        f_state: Any = None,
        **kwargs: Any,
    ) -> None:
        """Load parts of the net, as skorch does, or all of it.

        Parameters
        ----------
        f_params, f_optimizer, f_criterion, f_history : str, path, file-like or None, default=None
            As in skorch.
        checkpoint : skorch.callbacks.Checkpoint or None, default=None
            Where a net of this package has written its history, all that has been learnt is loaded;
            else what skorch loads.
        use_safetensors : bool, default=False
            Whether modules were saved by safetensors.
        f_state : str, path, file-like or None, default=None
            What `save_params` has saved all of a net to.
        **kwargs : dict
            ``f_...`` of other modules.

        Raises
        ------
        ValueError
            If the file with all of a net is damaged, or is about another method, other classes or
            another module; the net is then as it was.
        """
        if f_state is None and checkpoint is not None:
            f_state = find_state(checkpoint)
        files = {"f_params": f_params, "f_optimizer": f_optimizer, "f_criterion": f_criterion}
        files |= {"f_history": f_history} | kwargs
        if f_state is not None:
            self._load_state(f_state)
            checkpoint = None
        if f_state is None or any(target is not None for target in files.values()):
            files |= {"checkpoint": checkpoint, "use_safetensors": use_safetensors}
            super().load_params(**files)  # type: ignore[misc]

    def _load_state(self, path: Any) -> None:
        content = read_state(path)
        if not self.initialized_:  # type: ignore[attr-defined]
            self.initialize()  # type: ignore[attr-defined]
        found = unpack(self, content, path)
        restore(self, found)
        event = None if self.training_ is None else self.training_.event
        # At the end of a training, as of its best epoch, what it has found of the labels stays.
        if event is None or event.name != "on_train_end":
            restore_published(self, found)
        if event is not None and event.name == "on_train_begin":
            event.loaded = (found, path)

    # -- events ---------------------------------------------------------------------------

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the net's own method of an event, then the callbacks; then write what these save.

        Parameters
        ----------
        method_name : str
        **cb_kwargs : dict

        Raises
        ------
        OSError
            If a file cannot be written.
        """
        training = self.training_
        if training is None:
            super().notify(method_name, **cb_kwargs)  # type: ignore[misc]
            return
        training.event = event = Event(method_name)
        try:
            super().notify(method_name, **cb_kwargs)  # type: ignore[misc]
        except KeyboardInterrupt:
            if method_name == "on_epoch_end" and self.calls_:
                # As EarlyStopping ends a training.
                self.calls_ = (*self.calls_[:-1], (*self.calls_[-1][:2], True))
            raise
        finally:
            training.event = None
        if event.failure is not None:
            raise event.failure
        if event.loaded is not None:
            self._resume(training, *event.loaded)
        for kind, target in event.due:
            self._write_due(event.name, kind, target)

    def _write_due(self, event_name: str, kind: str, target: Any) -> None:
        if kind == STATE or event_name in WHOLE_EVENTS:
            self._write_state(target if kind == STATE else get_state_path(target))
        # After the whole: a history alone would be taken for one of skorch.
        if kind == HISTORY:
            self._save_parts(None, {"f_history": target}, use_safetensors=False)

    def _resume(self, training: Training, found: dict[str, Any], path: Any) -> None:
        """Give the net what was loaded, once more: callbacks have begun by changing it."""
        restore(self, found)
        restore_published(self, found)
        set_states(self.callbacks_, found["callbacks"])  # type: ignore[attr-defined]
        self.replay_ = self.calls_
        training.resumed_from = path
        if is_path(path):
            remove_asides(Path(path).parent)

    # -- the epochs of a call -------------------------------------------------------------

    def fit_loop(self, X: Any, y: Any = None, epochs: int | None = None, **fit_params: Any) -> Any:
        """Train for the epochs of the call, or for those that a file has not behind it.

        Parameters
        ----------
        X, y : input data
        epochs : int or None, default=None
            None: `max_epochs`.
        **fit_params : dict
            As in skorch.

        Returns
        -------
        self : object
        """
        training = self.training_
        n_left = None if training is None else self._count_left(training)
        if training is None or n_left is None:
            return super().fit_loop(X, y, epochs, **fit_params)  # type: ignore[misc]
        training.n_left = n_left
        super().fit_loop(X, y, n_left, **fit_params)  # type: ignore[misc]
        if n_left == 0 and not self.replay_:
            # For what is published in the end.
            self.begin_training(training)  # type: ignore[attr-defined]
        return self

    def _count_left(self, training: Training) -> int | None:
        """Return the epochs that a call has left which is in the file; None: it is not."""
        n_epochs = training.count_epochs(self.max_epochs)
        if not self.replay_ or not n_epochs:
            return None
        _, n_before, is_stopped = self.calls_[-1]
        is_over = len(self.replay_) > 1 or is_stopped
        return 0 if is_over else max(0, n_before + n_epochs - len(self.history))  # type: ignore[attr-defined]

    def enter_call(self, training: Training) -> None:
        """Find the call's place among those of the net, or of the file that it goes on with.

        Parameters
        ----------
        training : Training
            With the rows of the call.

        Raises
        ------
        ValueError
            If the file is about other rows, labels or weights.
        """
        training.n_before = len(self.history)  # type: ignore[attr-defined]
        if training.n_left is None:
            return
        (expected, n_before, _), *rest = self.replay_
        if training.get_fingerprint() != expected:
            raise refuse(
                training.resumed_from or "the file loaded",
                "It is about other rows, labels or sample weights than those given (or another "
                "validation split: give train_split a random_state).",
            )
        self.replay_ = tuple(rest)
        if not rest:
            training.n_before = n_before
