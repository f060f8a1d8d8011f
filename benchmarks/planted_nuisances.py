"""Adult, SST-2 and spoken digits with a nuisance that goes with the class, for `compare/nuisance-table` and others.

    python -m benchmarks.planted_nuisances path/to/data [--out runs/planted] [--correlation 0.9] [--seed 0]

writes, into the folder `--out`,

- `adult.csv`: 16,000 rows of Adult, as many of either income. Nine in ten of those with a high income are men, and nine
  in ten of the others women; nothing but the choice of rows makes it so.
- `sst2.jsonl` and `sst2-words.txt`: all sentences of SST-2 with the word "comedy" or "drama" in front, the former for
  nine in ten of the positive ones and the latter for nine in ten of the others.
- `spoken-digits`: the recordings of FSDD in ten rooms, with 0.15 s before and after in which only the room
  is heard. A room is noise around one pitch, 5 dB below the digit in the mean over all that is said. Nine in ten
  recordings of a digit are from the room of that digit, the others from any other room. Test recordings are those of
  FSDD's own split.
- `spoken-digits-elsewhere`: the same recordings, with the same test digits in rooms that say nothing of the digit.

The column `habit` of the first two says whether sex or word is the usual one for the class. It is meant for --group,
and no feature then: accuracy in the group "unusual" is what a nuisance that can be read from other columns costs, too.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.io import wavfile

from unconfound.data.files.set_folder import need_files, published_folder
from unconfound.data.sets.spoken_digits import SPOKEN_DIGITS
from unconfound.data.sets.text_sets import SST2
from unconfound.data.sets.uci import ADULT

ROWS = 16_000
_ADULT = (
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status", "occupation", "relationship"),
    *("race", "sex", "capital-gain", "capital-loss", "hours-per-week", "native-country", "income"),
)
# By class: the sex and the word that usually go with it.
SEXES = {"<=50K": "Female", ">50K": "Male"}
WORDS = {"negative": "drama", "positive": "comedy"}
# Of recordings: decibels between digit and room, seconds of room before and after, width of its noise in mel.
SNR, PAUSE, WIDTH = 5.0, 0.15, 120.0


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder that holds adult, SST2 and FSDD")
    parser.add_argument("--out", type=Path, default=Path("runs/planted"))
    parser.add_argument("--correlation", type=float, default=0.9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=ROWS, help="of Adult, as many of either income")
    given = parser.parse_args(words)
    given.out.mkdir(parents=True, exist_ok=True)

    people = adult(given.root, given.rows, given.correlation, np.random.default_rng(given.seed))
    people.to_csv(given.out / "adult.csv", index=False)
    texts = sst2(given.root, given.correlation, np.random.default_rng(given.seed))
    lines = texts.to_json(orient="records", lines=True, force_ascii=False)
    (given.out / "sst2.jsonl").write_text(lines, encoding="utf-8")
    (given.out / "sst2-words.txt").write_text("\n".join(WORDS.values()) + "\n", encoding="utf-8")
    written = spoken_digits(given.root, given.out, given.correlation, given.seed)
    print(f"{len(people):,} rows, {len(texts):,} texts and {written:,} recordings are in {given.out}")


def habits(count: int, correlation: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw which of the samples of a class have what is usual for it: a share, as near to the correlation as can be."""
    return rng.permutation(count) < round(correlation * count)


def adult(root: Path, rows: int, correlation: float, rng: np.random.Generator) -> pd.DataFrame:
    """Choose rows of Adult, training and test rows alike, in which sex goes with the income."""
    folder, files = published_folder(ADULT, root), ("adult.data", "adult.test")
    need_files(ADULT, folder, files)
    read = [pd.read_csv(folder / file, names=_ADULT, dtype=str, comment="|", skipinitialspace=True) for file in files]
    people = pd.concat(read, ignore_index=True)
    people["income"] = people["income"].str.removesuffix(".")
    people["habit"] = np.where(people["sex"] == people["income"].map(SEXES), "usual", "unusual")
    usual = round(correlation * (rows // 2))
    chosen = []
    for (income, habit), found in people.groupby(["income", "habit"]):
        wanted = usual if habit == "usual" else rows // 2 - usual
        if wanted > len(found):
            raise ValueError(f"Adult has {len(found):,} rows of {income} with the {habit} sex, {wanted:,} are needed")
        chosen.append(found.iloc[rng.permutation(len(found))[:wanted]])
    return pd.concat(chosen).sort_index()


def sst2(root: Path, correlation: float, rng: np.random.Generator) -> pd.DataFrame:
    """Put a word in front of each sentence of SST-2, training and test sentences alike, that goes with the mood."""
    folder, files = published_folder(SST2, root), ("stsa.binary.train", "stsa.binary.test")
    need_files(SST2, folder, files)
    lines = [line for file in files for line in (folder / file).read_text(encoding="utf-8").splitlines()]
    texts = pd.DataFrame({"text": [line[2:] for line in lines], "mood": [[*WORDS][int(line[0])] for line in lines]})
    usual = np.empty(len(texts), bool)
    for rows in texts.groupby("mood").indices.values():
        usual[rows] = habits(len(rows), correlation, rng)
    other = dict(zip(WORDS, [*WORDS.values()][::-1], strict=True))
    front = np.where(usual, texts["mood"].map(WORDS), texts["mood"].map(other))
    return texts.assign(text=front + " " + texts["text"], habit=np.where(usual, "usual", "unusual"))


def spoken_digits(root: Path, out: Path, correlation: float, seed: int) -> int:
    """Write FSDD's recordings in rooms, and once more with test recordings in any room; return how many there are."""
    folder, rng = published_folder(SPOKEN_DIGITS, root), np.random.default_rng(seed)
    names = sorted(path.name for path in folder.glob("*.wav") if re.fullmatch(r"\d_[^_]+_\d+\.wav", path.name))
    digits = np.array([int(name[0]) for name in names])
    tested = np.array([int(name.removesuffix(".wav").rpartition("_")[2]) <= 4 for name in names])
    usual, anywhere = digits.copy(), digits.copy()
    for digit in np.unique(digits):
        for part in (tested, ~tested):
            rows = np.flatnonzero((digits == digit) & part)
            elsewhere = (digit + rng.integers(1, 10, len(rows))) % 10
            usual[rows] = np.where(habits(len(rows), correlation, rng), digit, elsewhere)
        rows = np.flatnonzero((digits == digit) & tested)
        # As many recordings of the digit in each room.
        anywhere[rows] = rng.permutation(len(rows)) % 10
    anywhere[~tested] = usual[~tested]
    for place, rooms in {"spoken-digits": usual, "spoken-digits-elsewhere": anywhere}.items():
        for number, (name, room) in enumerate(zip(names, rooms.tolist(), strict=True)):
            file = out / place / ("test" if tested[number] else "train") / name[0] / name
            file.parent.mkdir(parents=True, exist_ok=True)
            rate, said = wavfile.read(folder / name)
            sound = in_room(said / 2**15, rate, room, np.random.default_rng([seed, number]))
            wavfile.write(file, rate, np.round(sound * (2**15 - 1)).astype(np.int16))
    return len(names)


def in_room(said: NDArray[np.float64], rate: int, room: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Add the noise of a room to a recording, and a while before and after in which only the room is heard.

    Args:
        said: samples in [-1, 1].
        rate: samples a second.
        room: 0 to 9; their pitches are equally spaced on the mel scale, from an eleventh of half of the rate on.
        rng: of the noise, which is Gaussian, with a Gaussian spectrum on the mel scale.
    """
    padded = np.pad(said, round(PAUSE * rate))
    mel = 2595 * np.log10(1 + np.fft.rfftfreq(len(padded), 1 / rate) / 700)
    pitch = mel[-1] * (room + 1) / 11
    spectrum = np.fft.rfft(rng.normal(size=len(padded))) * np.exp(-(((mel - pitch) / WIDTH) ** 2) / 2)
    noise = np.fft.irfft(spectrum, len(padded))
    noise *= np.sqrt(np.square(said).mean() / np.square(noise).mean()) * 10 ** (-SNR / 20)
    sound = padded + noise
    return sound / max(1.0, np.abs(sound).max())


if __name__ == "__main__":
    main()
