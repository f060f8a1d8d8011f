"""The names of data sets, the forms of a path, and the kinds of data by file extension."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublicSet:
    """A public data set that `load` reads by its name.

    Args:
        about: one line for `unconfound list`.
        reader: MODULE:FUNCTION below `unconfound.data`; the function takes the data root.
        takes: further arguments of the function, by the names of the options that they come from.
        called: what the function calls the set, where it reads several.
    """

    about: str
    reader: str
    takes: tuple[str, ...] = ()
    called: str = ""


_TU = ("MUTAG", "PTC_MR", "IMDB-BINARY", "IMDB-MULTI", "REDDIT-BINARY", "PROTEINS", "NCI1")
_GRAPHS = ("node_features", "encoding")
_TABLE, _TEXT = ("group", "encoding"), ("test_share", "data_seed", "max_length", "encoding")
# By the kind of their samples; sequences are texts and time series. A set needs its reader and one record here.
PUBLIC_SETS: dict[str, dict[str, PublicSet]] = {
    "images": {
        "cifar10": PublicSet("CIFAR-10 under --data-root", "sets.torchvision_sets:torchvision_set", called="cifar10"),
        "cifar100": PublicSet(
            "CIFAR-100 under --data-root", "sets.torchvision_sets:torchvision_set", called="cifar100"
        ),
        "stl10": PublicSet("STL-10 under --data-root", "sets.torchvision_sets:torchvision_set", called="stl10"),
        "mnist": PublicSet("MNIST under --data-root", "sets.torchvision_sets:torchvision_set", called="mnist"),
        "fashion-mnist": PublicSet(
            "Fashion-MNIST under --data-root", "sets.torchvision_sets:torchvision_set", called="fashion-mnist"
        ),
        "emnist-letters": PublicSet(
            "EMNIST's letters, 26 classes, under --data-root",
            "sets.torchvision_sets:torchvision_set",
            called="emnist-letters",
        ),
        "tiny-imagenet": PublicSet("Tiny-ImageNet under --data-root", "sets.tiny_imagenet:tiny_imagenet", ("reading",)),
        "imagenet100": PublicSet("ImageNet-100 under --data-root", "sets.imagenet100:imagenet100", ("reading",)),
        "imagenet9": PublicSet(
            "ImageNet-9 of the Backgrounds Challenge, all its variants, under --data-root",
            "sets.imagenet9:imagenet9",
            ("reading",),
        ),
        "coco": PublicSet(
            "COCO 2017 under --data-root: one sample per object, with its mask", "images.coco:coco", ("reading",)
        ),
        "waterbirds": PublicSet(
            "Waterbirds under --data-root: land and water birds on land and water, four groups",
            "sets.waterbirds:waterbirds",
            ("reading",),
        ),
        "celeba": PublicSet(
            "CelebA under --data-root: blond hair (--label) with the groups of sex (--group)",
            "sets.celeba:celeba",
            ("label", "group", "reading"),
        ),
        "domains": PublicSet(
            "domains (PACS, VLCS, OfficeHome), each a folder of class folders in --data-root; one is --held-out",
            "sets.domains:domains",
            ("held_out", "validation_domain", "reading"),
        ),
        "cub": PublicSet(
            "CUB-200-2011 under --data-root: 200 species of birds, with masks if its segmentations are present",
            "sets.cub:cub",
            ("crop_boxes", "reading"),
        ),
        "cars196": PublicSet(
            "Cars-196 (Stanford Cars) under --data-root: 196 models of cars",
            "sets.cars196:cars196",
            ("crop_boxes", "reading"),
        ),
        "stanford-online-products": PublicSet(
            "Stanford Online Products under --data-root; with --unseen-classes",
            "sets.online_products:online_products",
            ("reading",),
        ),
        "omniglot": PublicSet(
            "Omniglot under --data-root: characters of alphabets, from its zips; with --unseen-classes",
            "sets.omniglot:omniglot",
            ("image_size",),
        ),
        "colored-mnist": PublicSet(
            "MNIST under --data-root in colours that go with the class: --colouring ten, irm, square",
            "sets.colored_mnist:colored_mnist",
            ("colouring", "correlation", "data_seed"),
        ),
    },
    "tables": {
        "adult": PublicSet("Adult (census income) under --data-root", "sets.uci:uci_table", _TABLE, "adult"),
        "letter": PublicSet("Letter recognition under --data-root", "sets.uci:uci_table", _TABLE, "letter"),
    },
    "graphs": {
        folder.lower().replace("_", "-"): PublicSet(
            f"{folder} of the TU collection under --data-root", "graphs.tu:tu_set", _GRAPHS, folder
        )
        for folder in _TU
    },
    "sequences": {
        "ag-news": PublicSet("text: AG News under --data-root", "sets.text_sets:named_text", _TEXT, "ag-news"),
        "trec": PublicSet("text: TREC questions under --data-root", "sets.text_sets:named_text", _TEXT, "trec"),
        "sst2": PublicSet("text: SST-2 sentences under --data-root", "sets.text_sets:named_text", _TEXT, "sst2"),
        "spoken-digits": PublicSet(
            "series: Free Spoken Digit Dataset under --data-root", "sequences.recordings:spoken_digits", ("max_length",)
        ),
    },
}
# Made on request, from what is built in or from other data.
COMPOSED = {
    "demo": "handwritten digits on photographs, built in",
    "composition": "any --foregrounds (mnist, fashion-mnist, emnist-letters, ...) on any folder of --photographs",
}
NAMED_OF = {
    modality: (COMPOSED if modality == "images" else {}) | {name: each.about for name, each in sets.items()}
    for modality, sets in PUBLIC_SETS.items()
}
NAMED = {name: about for sets in NAMED_OF.values() for name, about in sets.items()}
PATHS_OF = {
    "images": {
        "path/to/folder": "images in class folders, flat, or by --metadata FILE; with train/ and test/ or split here",
        "path/to/images.npz": "arrays of images or rows (.npy, .npz)",
    },
    "tables": {
        "path/to/table.csv": "a table (.csv, .tsv, .parquet) with --label and --group",
    },
    "graphs": {
        "path/to/tu/folder": "graphs in the TU form (NAME_A.txt, NAME_graph_indicator.txt, ...)",
    },
    "sequences": {
        "path/to/texts.jsonl": "texts: .csv, .tsv, .parquet or .jsonl with --text COLUMN, or .txt with one per line",
        "path/to/series.npz": "series: an array [samples, time, channels], or ragged with lengths",
        "path/to/recordings": "sound files (.wav, .flac, .ogg, .opus, .mp3) in class folders, as log-mel frames",
    },
}
PATHS = {path: about for paths in PATHS_OF.values() for path, about in paths.items()}
TEXTS = (".jsonl", ".txt")
TABLES = (".csv", ".tsv", ".gz", ".parquet", ".pq")
ARRAYS = (".npy", ".npz")
