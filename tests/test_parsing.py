"""Mistakes in flags, said in one line that helps."""

from __future__ import annotations

import pytest

from unconfound.commands.embed import EmbedArguments
from unconfound.commands.evaluate import EvaluateArguments
from unconfound.fit_parsing import parse_fit
from unconfound.parsing import parse


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--lr 0.1", "--lr: did you mean --learning-rate? (unconfound fit simclr --help)"),
        ("--lr=0.1", "--lr: did you mean --learning-rate?"),
        ("--bs 8 --wd 0", "--bs: did you mean --batch-size?; --wd: did you mean --weight-decay?"),
        ("--arch resnet18", "--arch: did you mean --encoder?"),
        ("--model resnet18", "--model: did you mean --encoder?"),
        ("--output x", "--output: did you mean --out?"),
        ("-o x", "-o: did you mean --out?"),
        ("--learn 1", "--learn: did you mean --learning-rate?"),
        ("--epohcs 3", "--epohcs: did you mean --epochs?"),
        ("--learning_rat 3", "--learning_rat: did you mean --learning-rate?"),
        ("--xyzzy", "--xyzzy: there is no such flag (unconfound fit simclr --help)"),
        ("--epochs x", "--epochs takes a whole number, got 'x'"),
        ("--ema-decay x", "--ema-decay takes a number, got 'x'"),
        ("--learning-rate x", "--learning-rate takes FLOAT, got 'x'"),
        ("--nuisance-snr 10", "--nuisance-snr takes FLOAT FLOAT, got '10'"),
        ("--learning-rate -1e-3", "learning_rate must be above 0, got -0.001"),
        ("--precision half", "'--precision'"),
    ],
)
def test_a_mistaken_flag_of_fit_gets_advice(words: str, told: str) -> None:
    with pytest.raises(ValueError, match="unconfound fit simclr --help") as refused:
        parse_fit(words.split(), method="simclr", recipe=None)
    assert str(refused.value).startswith(told) or (told.startswith("'") and told in str(refused.value))


def test_flags_with_underscores_are_known() -> None:
    _, given = parse_fit(["--batch_size", "8", "--no_rows"], method="simclr", recipe=None)
    assert given.training.batch_size == 8


def test_other_commands_know_their_own_flags_alone() -> None:
    with pytest.raises(ValueError, match=r"^--output: did you mean --out\?"):
        parse(EmbedArguments, ["run", "data", "--output", "x"], command="embed")
    with pytest.raises(ValueError, match=r"^--lr: there is no such flag"):
        parse(EvaluateArguments, ["run", "--lr", "1"], command="evaluate")
