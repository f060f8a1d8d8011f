"""What a user can say of the data: the command line's flags and the keys of a recipe's section `data`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from unconfound.spans import read_spans

NodeFeatures = Literal["auto", "labels", "attributes", "labels+attributes", "degree", "constant"]


@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What to read, and how."""

    data: str = "demo"
    """a name or the path of a folder, array, table or text file, as `unconfound list` has them"""
    data_root: Path | None = None
    """where the files of a named data set lie"""
    metadata: Path | None = None
    """table of a folder of images: file names in its column `file` or `img_filename`, or its first one, --label and
    --group name other columns, `split` (train, val, test or 0, 1, 2) may be one"""
    label: str | None = None
    """column of a table that holds the class; of celeba, the attribute to tell apart"""
    group: str | None = None
    """column of a table that holds the group, for worst-group figures; it is no feature; of celeba, an attribute"""
    text: str | None = None
    """column of a table, or field of JSON lines, that holds a text: the data are then these texts"""
    rows: bool = False
    """read images as rows of a table, one column per pixel and channel"""
    series: bool = False
    """read an array [samples, time, channels] as series, not as images"""
    node_features: NodeFeatures = "auto"
    """of graphs: node labels one-hot, node attributes, both, degree one-hot, or the constant 1; auto is labels where
    there are any, else 1"""
    max_length: int = 256
    """longest text (tokens) or series (frames); what is longer is cut"""
    masks: Path | None = None
    """folder of masks parallel to a folder of images, black and white, white on the foreground"""
    mask_values: tuple[str, ...] | None = None
    """values of the foreground in masks that are not black and white (of class numbers, say): 3, or 1-20 for a span"""
    image_size: int | None = None
    """side of the images in pixels; by default that of the images, 224 at most"""
    channels: int = 3
    """3 reads images of a folder in colour, 1 in grey"""
    bits: int | None = None
    """of the values in 16-bit image files: 12 where white is 4,095; by default 16"""
    crop_boxes: bool = False
    """cub, cars196: cut out the square around the object's box, not the central one"""
    test_share: float = 0.2
    """share held out for the evaluation where the data bring no test split"""
    validation_share: float = 0.0
    """share of the training samples set aside for choosing between candidates; the data's own validation split is used
    where there is one; of domains 0 means 0.2, the share of DomainBed"""
    held_out: str | None = None
    """domains: the domain to test on; all others are trained on"""
    validation_domain: str | None = None
    """domains: one more that is not trained on; it is the validation part, whole, in place of a share of each"""
    classic_split: bool = False
    """domains: set 30 % of each training domain aside for validation, as was usual before DomainBed"""
    unseen_classes: bool = False
    """train on some classes and test on others, by retrieval: on those of the test part where they are others than the
    training part's, else on the second half of all; the default of metric and dcml"""
    folds: int = 4
    """unseen classes: blocks of the training classes for cross-validation"""
    fold: int | None = None
    """unseen classes: the block to validate on and not to train on, 0 (the last classes) to folds - 1 (the first ones);
    without it all of them are trained on"""
    train_samples: int | None = None
    """learn from so many training samples at most, drawn by --data-seed"""
    test_samples: int | None = None
    """judge on so many samples of each test set at most, the same of all, drawn by --data-seed"""
    adversarial_backgrounds: int = 0
    """judge every test foreground on so many backgrounds of each class, too, and count those that none of them fools;
    takes as many passes over the test set as there are backgrounds"""
    correlation: float = 0.9
    """demo, composition, colored-mnist: share of the training foregrounds that stand on their own class's scene"""
    colouring: Literal["ten", "irm", "square"] = "ten"
    """colored-mnist: ten classes on their colours; noisy halves of the digits in red and green (IRM's); halves with a
    square in a corner (MaskTune's)"""
    foregrounds: str | None = None
    """composition: name or path of the foregrounds, bright on dark"""
    tint: bool = True
    """composition: give grey foregrounds a random bright colour each"""
    photographs: Path | None = None
    """composition: folder of photographs for the scenes"""
    photographs_per_class: int = 1
    """composition: photographs that make the scene of each class"""
    foreground_classes: tuple[str, ...] | None = None
    """composition: names of the classes to keep, in this order"""
    group_counts: tuple[int, ...] | None = None
    """composition of two classes: training samples of first on first's scene, first on second's, second on first's,
    second on second's; Waterbirds' are 3498 184 56 1057"""
    bad_share: float = 0.01
    """share of unreadable images that is skipped; more is an error"""
    memory_gib: float = 4.0
    """largest decoded image folder that is cached and held in memory; a larger one is streamed by workers"""
    workers: int = 2
    """processes that decode a streamed folder"""
    data_seed: int = 0
    """seed of the held-out split and of compositions; stays the same when --seed changes"""

    def __post_init__(self) -> None:
        if not 0 <= self.validation_share < 1:
            raise ValueError(f"validation_share must be at least 0 and below 1, got {self.validation_share}")
        for name in ("test_share", "correlation", "bad_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {getattr(self, name)}")
        self._check_images()
        for name in ("train_samples", "test_samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self._check_classes()
        self._check_domains()
        if self.adversarial_backgrounds < 0:
            raise ValueError(f"adversarial_backgrounds must be at least 0, got {self.adversarial_backgrounds}")
        if self.photographs_per_class < 1:
            raise ValueError(f"photographs_per_class must be at least 1, got {self.photographs_per_class}")
        if self.group_counts is not None and (len(self.group_counts) != 4 or min(self.group_counts) < 1):
            raise ValueError(f"group_counts must be four numbers of at least 1, got {self.group_counts}")
        if self.max_length < 1:
            raise ValueError(f"max_length must be at least 1, got {self.max_length}")

    def _check_images(self) -> None:
        if self.mask_values is not None:
            read_spans(self.mask_values)
        if self.channels not in (1, 3):
            raise ValueError(f"channels must be 1 or 3, got {self.channels}")
        if self.bits is not None and not 8 <= self.bits <= 16:
            raise ValueError(f"bits must be 8 to 16, got {self.bits}")
        if self.image_size is not None and self.image_size < 8:
            raise ValueError(f"image_size must be at least 8 pixels, got {self.image_size}")

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
        if self.folds < 2:
            raise ValueError(f"folds must be at least 2, got {self.folds}")
        if self.unseen_classes and self.adversarial_backgrounds:
            raise ValueError(
                "adversarial_backgrounds judges answers of a classifier, which knows none of --unseen-classes: "
                "leave it out, or give --no-unseen-classes"
            )
        if self.fold is None:
            return
        if not self.unseen_classes:
            raise ValueError(
                f"fold {self.fold} divides the classes of --unseen-classes: say that, too, or leave --fold out"
            )
        if not 0 <= self.fold < self.folds:
            raise ValueError(f"fold must be 0 to {self.folds - 1}, one of {self.folds} folds, got {self.fold}")
        if self.validation_share:
            raise ValueError(
                f"fold {self.fold} validates on classes, validation_share {self.validation_share} on samples: "
                "leave one of them out"
            )
