"""Words that a user calls a nuisance, such as those of a topic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from unconfound.data.core.batch import Sequences
from unconfound.data.core.nuisance import Nuisance
from unconfound.data.files.damaged import check_text
from unconfound.data.sequences.vocabulary import SPECIAL, UNKNOWN, tokenize


@dataclass(frozen=True, eq=False)
class TopicWords(Nuisance):
    """Words of a list: those of a text give way to those of another text, in their order and as often as needed.

    Where the other text has none of them, they give way to the token of unknown words. All other tokens stay, and so
    does the length of the text.

    Args:
        tokens: which tokens of the vocabulary are words of the list.
        words: as for every nuisance.
    """

    tokens: Bool[Tensor, " vocabulary"]
    words: str = "the listed words"

    def exchanged(
        self, inputs: Tensor | Sequences, givers: Tensor | Sequences, draws: Float[Tensor, " batch"]
    ) -> Tensor | Sequences:
        """Return texts with the words of others; nothing else is drawn."""
        assert isinstance(inputs, Sequences)
        assert isinstance(givers, Sequences)
        listed = self.tokens.to(inputs.values.device)
        own, given = listed[inputs.values], listed[givers.values]
        # The listed words of each text that gives, in their order, before all others.
        found = givers.values.gather(1, given.int().argsort(dim=1, descending=True, stable=True))
        counts = given.sum(1, keepdim=True)
        turn = (own.cumsum(1) - 1).clamp_min(0) % counts.clamp_min(1)
        words = torch.where(counts > 0, found.gather(1, turn), UNKNOWN)
        return Sequences(torch.where(own, words, inputs.values), inputs.lengths)


def topic_words(path: Path, vocabulary: Sequence[str]) -> tuple[TopicWords, list[str]]:
    """Read a list of words, one a line.

    Returns:
        The words, and a note of how many of them the vocabulary knows.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no text in UTF-8, it lists no word, a line holds several, or the vocabulary has none of them.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no list of words at {path}")
    try:
        content = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not written in UTF-8: save it so") from error
    check_text(path, content, advice="save it anew")
    listed = set()
    for number, line in enumerate(content.splitlines(), 1):
        words = tokenize(line)
        if len(words) > 1:
            raise ValueError(f"{path}, line {number} holds several words ({line.strip()[:60]!r}): give one a line")
        listed.update(words)
    if not listed:
        raise ValueError(f"{path} lists no word: give one a line")
    tokens = torch.zeros(len(vocabulary) + SPECIAL, dtype=torch.bool)
    tokens[SPECIAL:] = torch.tensor([word in listed for word in vocabulary], dtype=torch.bool)
    known = int(tokens.sum())
    if not known:
        raise ValueError(
            f"none of the {len(listed):,} words of {path} is in the vocabulary of the training texts: nothing can be "
            "exchanged"
        )
    note = f"nuisance: {known:,} of the {len(listed):,} words of {path.name} are in the vocabulary"
    return TopicWords(tokens), [note]
