"""The names of data sets, the forms of a path, and the kinds of data by file extension."""

# The TU sets by the names of their folders; any other folder of that form can be given by its path.
TU_SETS = {
    name.lower().replace("_", "-"): name
    for name in ("MUTAG", "PTC_MR", "IMDB-BINARY", "IMDB-MULTI", "REDDIT-BINARY", "PROTEINS", "NCI1")
}
# Named sets whose images are files, which are read in any size.
IMAGE_FILES = (
    *("tiny-imagenet", "imagenet100", "imagenet9", "coco", "waterbirds", "celeba", "domains"),
    *("cub", "cars196", "stanford-online-products", "omniglot"),
)
# By the kind of their samples; sequences are texts and time series.
NAMED_OF = {
    "images": {
        "demo": "handwritten digits on photographs, built in",
        "composition": "any --foregrounds (mnist, fashion-mnist, emnist-letters, ...) on any folder of --photographs",
        "cifar10": "CIFAR-10 under --data-root",
        "cifar100": "CIFAR-100 under --data-root",
        "stl10": "STL-10 under --data-root",
        "mnist": "MNIST under --data-root",
        "fashion-mnist": "Fashion-MNIST under --data-root",
        "emnist-letters": "EMNIST's letters, 26 classes, under --data-root",
        "tiny-imagenet": "Tiny-ImageNet under --data-root",
        "imagenet100": "ImageNet-100 under --data-root",
        "imagenet9": "ImageNet-9 of the Backgrounds Challenge, all its variants, under --data-root",
        "coco": "COCO 2017 under --data-root: one sample per object, with its mask",
        "waterbirds": "Waterbirds under --data-root: land and water birds on land and water, four groups",
        "celeba": "CelebA under --data-root: blond hair (--label) with the groups of sex (--group)",
        "domains": "domains (PACS, VLCS, OfficeHome), each a folder of class folders in --data-root; one is --held-out",
        "cub": "CUB-200-2011 under --data-root: 200 species of birds, with masks if its segmentations are present",
        "cars196": "Cars-196 (Stanford Cars) under --data-root: 196 models of cars",
        "stanford-online-products": "Stanford Online Products under --data-root; with --unseen-classes",
        "omniglot": "Omniglot under --data-root: characters of alphabets, from its zips; with --unseen-classes",
        "colored-mnist": "MNIST under --data-root in colours that go with the class: --colouring ten, irm, square",
    },
    "tables": {
        "adult": "Adult (census income) under --data-root",
        "letter": "Letter recognition under --data-root",
    },
    "graphs": {name: f"{folder} of the TU collection under --data-root" for name, folder in TU_SETS.items()},
    "sequences": {
        "ag-news": "text: AG News under --data-root",
        "trec": "text: TREC questions under --data-root",
        "sst2": "text: SST-2 sentences under --data-root",
        "spoken-digits": "series: Free Spoken Digit Dataset under --data-root",
    },
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
