"""What a user can say of the data: the command line's flags and the keys of a recipe's section `data`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from unconfound.options.constraints import (
    Checked,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Share,
    ShareBelowOne,
    at_least,
    within,
)
from unconfound.spans import read_spans

NodeFeatures = Literal["auto", "labels", "attributes", "labels+attributes", "degree", "constant"]
Decibels = Annotated[float, within(-100, 100)]


@dataclass(frozen=True, kw_only=True)
class DataOptions(Checked):
    """The data to read, and how to read and divide them."""

    data: str = "demo"
    """Name of a data set, or path of a folder, array, table or text file; `unconfound list data` shows all forms."""
    data_root: Path | None = None
    """Folder that holds the files of a named data set."""
    metadata: Path | None = None
    """Table for a folder of images. File names are in its column `file` or `img_filename`, or else in its first column;
    --label and --group name other columns; a column `split` (train, val, test or 0, 1, 2) is optional."""
    label: str | None = None
    """Column of a table that holds the class; for celeba, the attribute to classify."""
    group: str | None = None
    """Column of a table that holds the group, for accuracies per group, and is not used as a feature; for celeba, an
    attribute."""
    nuisance: tuple[str, ...] | None = None
    """Columns of a table that are to tell nothing of the class, and that --exchange and the evaluation exchange between
    rows, all of them together."""
    nuisance_words: Path | None = None
    """File of words, one a line, that are to tell nothing of the class, and that --exchange and the evaluation replace
    in each text by those of another (texts only)."""
    nuisance_snr: tuple[Decibels, Decibels] | None = None
    """Lowest and highest signal-to-noise ratio in dB at which --exchange and the evaluation add the background of
    another recording, its quietest frames (recordings only)."""
    text: str | None = None
    """Column of a table, or field of JSON lines, that holds the texts to learn from."""
    rows: bool = False
    """Read images as rows of a table, with one column per pixel and channel."""
    series: bool = False
    """Read an array [samples, time, channels] as time series instead of images."""
    node_features: NodeFeatures = "auto"
    """Features of the nodes of graphs: labels (one-hot), attributes, both, degree (one-hot) or the constant 1; auto
    takes labels where there are any, and the constant elsewhere."""
    max_length: PositiveInt = 256
    """Maximum length of a text (in tokens) or time series (in frames); the rest is cut off."""
    masks: Path | None = None
    """Folder of masks with the same layout as a folder of images: black and white, with white on the foreground; or
    `estimate`, to find the foregrounds of images without masks by their colours; or `estimate-all`, to do so in
    training even where the data bring masks, which then serve for tests alone; or a run folder, to do this by the
    features of its encoder."""
    mask_values: tuple[str, ...] | None = None
    """Values of the foreground in masks that are not black and white, such as class numbers: 3, or 1-20 for a range."""
    refine_masks: NonNegativeInt = 0
    """Largest number of pixels by which the edges of masks may be wrong; so far around them, the colours of the images
    decide what is foreground. 0 takes masks as they are."""
    image_size: Annotated[int, at_least(8)] | None = None
    """Side of the images in pixels; by default their own, but at most 224."""
    channels: Literal[1, 3] = 3
    """Number of channels of images in a folder: 3 for colour, 1 for grayscale."""
    bits: Annotated[int, within(8, 16)] | None = None
    """Number of used bits in 16-bit image files, such as 12 where white is 4095; by default 16."""
    crop_boxes: bool = False
    """Crop the square around the object's bounding box instead of the central square (cub and cars196 only)."""
    test_share: Share = 0.2
    """Share of the samples to hold out for testing where the data have no test split."""
    validation_share: ShareBelowOne = 0.0
    """Share of the training samples to set aside for validation, such as selecting among candidates, unless the data
    have a validation split. For domains, 0 stands for DomainBed's share, 0.2."""
    held_out: str | None = None
    """Domain to test on, while all others are trained on (domains only)."""
    validation_domain: str | None = None
    """Domain to validate on, instead of a share of each training domain; it is not trained on (domains only)."""
    classic_split: bool = False
    """Set aside 30 % of each training domain for validation, as was usual before DomainBed (domains only)."""
    unseen_classes: bool = False
    """Train on some classes and test retrieval on others: on those of the test part if they differ from the training
    part's, else on the second half of all classes. This is the default of metric and dcml."""
    folds: Annotated[int, at_least(2)] = 4
    """Number of blocks that the training classes are divided into for cross-validation; only used with
    --unseen-classes."""
    fold: NonNegativeInt | None = None
    """Block of the training classes to validate on instead of training on it, from 0 (the last classes) to --folds - 1
    (the first ones); by default all are trained on. Needs --unseen-classes."""
    train_samples: PositiveInt | None = None
    """Maximum number of training samples, drawn by --data-seed; by default all."""
    test_samples: PositiveInt | None = None
    """Maximum number of samples per test set, drawn by --data-seed, the same ones from every test set; by default
    all."""
    adversarial_backgrounds: NonNegativeInt = 0
    """Number of backgrounds per class on which every test foreground is also classified, to count the foregrounds that
    are correct on all of them. Takes one pass over the test set per background."""
    correlation: Share = 0.9
    """Share of the training foregrounds that are placed on the background of their own class (demo, composition), or
    coloured in the colour of their own class (colored-mnist)."""
    colouring: Literal["ten", "irm", "square"] = "ten"
    """Version of colored-mnist: ten classes with a colour each, two noisy classes in red and green (IRM's), or two
    classes with a coloured square in a corner (MaskTune's)."""
    foregrounds: str | None = None
    """Name or path of the foregrounds, which are bright on dark (composition only)."""
    tint: bool = True
    """Give each grayscale foreground a random bright colour (composition only)."""
    photographs: Path | None = None
    """Folder of photographs to use as backgrounds (composition only)."""
    photographs_per_class: PositiveInt = 1
    """Number of photographs that backgrounds of each class are cut from (composition only)."""
    foreground_classes: tuple[str, ...] | None = None
    """Names of the classes to keep, in this order (composition only)."""
    group_counts: tuple[PositiveInt, ...] | None = None
    """Number of training samples of each group in a composition of two classes: first class on its own background,
    first on the second's, second on the first's, second on its own. Waterbirds has 3498 184 56 1057."""
    bad_share: Share = 0.01
    """Share of unreadable images that may be skipped; a larger share is an error."""
    memory_gib: NonNegativeFloat = 4.0
    """Largest size in GiB, once decoded, of an image folder that is cached and held in memory; a larger folder is
    streamed."""
    workers: NonNegativeInt = 2
    """Number of processes that decode the images of a streamed folder."""
    data_seed: NonNegativeInt = 0
    """Seed of held-out splits, of subsets and of compositions, which does not change with --seed."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mask_values is not None:
            read_spans(self.mask_values)
        if self.group_counts is not None and len(self.group_counts) != 4:
            raise ValueError(f"group_counts must be four numbers of at least 1, got {self.group_counts}")
        self._check_classes()
        self._check_domains()

    def _check_domains(self) -> None:
        if self.validation_domain is None:
            return
        if self.data != "domains":
            raise ValueError(
                f"validation_domain {self.validation_domain} is one of --data domains, not of {self.data}: leave "
                "--validation-domain out, or say --validation-domain None where a run brings it"
            )
        for name in ("validation_share", "classic_split", "unseen_classes"):
            if getattr(self, name):
                divided = "classes" if name == "unseen_classes" else "samples of each domain"
                instead = "give --no-unseen-classes" if name == "unseen_classes" else "leave one of them out"
                raise ValueError(
                    f"validation_domain {self.validation_domain} sets a whole domain aside, {name} divides {divided}: "
                    f"{instead}"
                )

    def _check_classes(self) -> None:
        if self.unseen_classes and self.adversarial_backgrounds:
            raise ValueError(
                "adversarial_backgrounds evaluates the answers of a classifier, which knows none of --unseen-classes: "
                "leave it out, or give --no-unseen-classes"
            )
        if self.fold is None:
            return
        if not self.unseen_classes:
            raise ValueError(
                f"fold {self.fold} divides the classes of --unseen-classes: say that, too, or leave --fold out"
            )
        if self.fold >= self.folds:
            raise ValueError(f"fold must be 0 to {self.folds - 1}, one of {self.folds} folds, got {self.fold}")
        if self.validation_share:
            raise ValueError(
                f"fold {self.fold} validates on classes, validation_share {self.validation_share} on samples: "
                "leave one of them out"
            )
