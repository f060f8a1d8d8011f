"""Leave-one-domain-out: the data that a candidate is evaluated by, each without one of the training domains."""

from __future__ import annotations

from dataclasses import replace

from unconfound.data.load import DataOptions
from unconfound.data.sets.domains import training_domains


def without_each_domain(options: DataOptions) -> dict[str, DataOptions]:
    """Leave each training domain out in turn.

    This is the third rule of DomainBed (Gulrajani and Lopez-Paz, "In Search of Lost Domain Generalization", ICLR 2021,
    section 3). As it is written there, training uses all samples of the other domains, and evaluation all samples of
    the domain that is left out; their released code uses 80 % of each.

    Args:
        options: of the run that represents the row, which is trained on all domains but the one held out.

    Returns:
        Domain -> data that are trained on without it, and have it as their validation part. Whatever share of each
        domain the run of the row sets aside, these do not.

    Raises:
        ValueError: the data are no domains, leave one out already, or hold fewer than three.
        FileNotFoundError: they are not there.
    """
    if options.data != "domains":
        raise ValueError(
            f"candidates are chosen by leave-one-domain-out, which takes --data domains, not {options.data}: give "
            "those, or another --select"
        )
    if options.validation_domain is not None:
        raise ValueError(
            "leave-one-domain-out leaves each training domain out in turn: leave --validation-domain "
            f"{options.validation_domain} out, or give another --select"
        )
    if options.unseen_classes:
        raise ValueError(
            "leave-one-domain-out is by accuracy, which classes that are not trained on do not have: give "
            '--no-unseen-classes, or --select "validation MAP@R"'
        )
    names = training_domains(options.data_root, held_out=options.held_out)
    if len(names) < 2:
        raise ValueError(
            f"leave-one-domain-out needs three domains or more, one to test on, one to leave out and one to train on: "
            f"{options.data_root} holds {len(names) + 1}"
        )
    return {name: replace(options, validation_domain=name, validation_share=0.0, classic_split=False) for name in names}
