"""`unconfound fit`: train an encoder with one method."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unconfound.fit_parsing import parse_fit
from unconfound.listing import listing
from unconfound.recipes import flags_of, read_recipe

# Everything heavy is imported where it is needed: a usage text must not wait for it.
if TYPE_CHECKING:
    from unconfound.data import Dataset
    from unconfound.methods import Method
    from unconfound.options.training import TrainingOptions
    from unconfound.training import Callback, Fitted


def fit(
    method: str | Method,
    data: Dataset | Path | str | None = None,
    *,
    out: Path | str | None = None,
    training: TrainingOptions | None = None,
    resume: bool = False,
    overwrite: bool = False,
    recipe: str | None = None,
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> Fitted:
    """Train an encoder with one method and write its run folder.

    By name this does what `unconfound fit` does: `fit("simclr", data="path/to/folder", out="runs/a", epochs=20)`. A
    method that was made in Python is trained on a data set: `fit(SimCLR(encoder, dataset.train.schema), dataset,
    out="runs/a")`; see `unconfound.training.fit`.

    Args:
        method: the name of a method, or a method.
        data: a folder, a file or the name of a public set, as --data takes it, or a data set in memory.
        out: the run folder; by default runs/METHOD.
        training: how a method that was made in Python is trained.
        resume: go on with a run that was stopped or killed.
        overwrite: remove an earlier run in `out`.
        recipe: the name or path of a recipe, whose settings hold where no option says otherwise.
        callbacks: told what happens while it trains (`unconfound.training.Callback`).
        **options: of a method by name: any flag of `unconfound fit METHOD`, with underscores, as in `epochs=20`,
            `encoder="convnet"` or `select_every=5`.

    Returns:
        The encoder, its run folder, and the classifier, if one was learnt.

    Raises:
        TypeError: a method without a data set, or options beside a method that was made in Python.
        ValueError, FileNotFoundError: any mistake in the options or the data.
        TrainingStopped: Ctrl-C or SIGTERM asked to stop; `resume` goes on.
    """
    from unconfound.data import Dataset

    if not isinstance(method, str):
        from unconfound.training import fit as fit_method

        if not isinstance(data, Dataset):
            raise TypeError(
                f"a method that was made in Python needs a Dataset, got {data!r}: take unconfound.load(...)"
            )
        if options or recipe is not None:
            given = ", ".join([*options, *(["recipe"] if recipe is not None else [])])
            raise TypeError(f"{given}: options go into the method, or into training=TrainingOptions(...)")
        folder = Path(out) if out is not None else Path("runs") / type(method).__name__.lower()
        return fit_method(
            method, data, out=folder, training=training, resume=resume, overwrite=overwrite, callbacks=callbacks
        )
    from unconfound.runs import fit_run

    if training is not None:
        raise TypeError("training options are given by name, as in epochs=20, where the method is")
    named = {} if data is None or isinstance(data, Dataset) else {"data": str(data)}
    said = {"out": None if out is None else str(out), "resume": resume or None}
    name, arguments = parse_fit(
        flags_of(options | named | said), method=method, recipe=read_recipe(recipe) if recipe else None
    )
    arguments = replace(arguments, out=None if out is None else Path(out), resume=resume, overwrite=overwrite)
    return fit_run(name, arguments, dataset=data if isinstance(data, Dataset) else None, callbacks=callbacks)


def command(words: Sequence[str]) -> None:
    """Do what `unconfound fit` says."""
    method, recipe, rest = _method_and_recipe(words)
    if method is None and recipe is None and set(rest) & {"-h", "--help"}:
        print("usage: unconfound fit METHOD [--recipe NAME] [flags]\n")
        print(f"{listing()}\n\nFlags of a method: unconfound fit METHOD --help")
        return
    name, given = parse_fit(rest, method=method, recipe=read_recipe(recipe) if recipe else None)

    from unconfound.progress import announced

    with announced("loading torch"):
        from unconfound.runs import fit_run
    fitted = fit_run(name, given)
    if int(os.environ.get("RANK", "0")) == 0:
        from unconfound.encoders import loading_snippet

        print(f"The encoder is in {fitted.run}. To use it:\n\n{loading_snippet(fitted.run)}\n")
        print(f"Next: unconfound evaluate {shlex.quote(str(fitted.run))}")


def _method_and_recipe(words: Sequence[str]) -> tuple[str | None, str | None, list[str]]:
    """Take the method (the first word, if it is no flag) and --recipe NAME out of the arguments of `fit`."""
    rest, method, recipe = list(words), None, None
    if rest and not rest[0].startswith("-"):
        method = rest.pop(0)
    for place, word in enumerate(rest):
        if word == "--recipe" or word.startswith("--recipe="):
            if word == "--recipe" and place + 1 == len(rest):
                raise ValueError("--recipe needs the name of a recipe (unconfound list) or the path of a TOML file")
            recipe = word.partition("=")[2] or rest.pop(place + 1)
            rest.pop(place)
            break
    return method, recipe, rest
