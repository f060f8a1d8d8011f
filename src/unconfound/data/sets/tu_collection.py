"""Sets of the TU collection of graphs (Morris et al., "TUDataset", 2020), each published by others before."""

from unconfound.options.data_sets import PublicSet

MUTAG = PublicSet(
    name="mutag",
    modality="graphs",
    about="MUTAG of the TU collection: nitroaromatic compounds, mutagenic or not",
    paper="Debnath et al., Structure-activity relationship of mutagenic aromatic and heteroaromatic nitro "
    "compounds, 1991",
    source="https://chrsmrrs.github.io/datasets/",
    reader="graphs.tu:tu_set",
    called="MUTAG",
    folders=("TUDataset/MUTAG", "MUTAG"),
    counts={"graphs": 188},
)
PTC_MR = PublicSet(
    name="ptc-mr",
    modality="graphs",
    about="PTC_MR of the TU collection: compounds, carcinogenic to male rats or not",
    paper="Helma, King, Kramer and Srinivasan, The Predictive Toxicology Challenge 2000-2001, Bioinformatics 2001",
    source="https://chrsmrrs.github.io/datasets/",
    reader="graphs.tu:tu_set",
    called="PTC_MR",
    folders=("TUDataset/PTC_MR", "PTC_MR"),
    counts={"graphs": 344},
)
IMDB_BINARY = PublicSet(
    name="imdb-binary",
    modality="graphs",
    about="IMDB-BINARY of the TU collection: who acts with whom, in films of two genres",
    paper="Yanardag and Vishwanathan, Deep Graph Kernels, KDD 2015",
    source="https://chrsmrrs.github.io/datasets/",
    reader="graphs.tu:tu_set",
    called="IMDB-BINARY",
    folders=("TUDataset/IMDB-BINARY", "IMDB-BINARY"),
    counts={"graphs": 1_000},
)
IMDB_MULTI = PublicSet(
    name="imdb-multi",
    modality="graphs",
    about="IMDB-MULTI of the TU collection: who acts with whom, in films of three genres",
    paper="Yanardag and Vishwanathan, Deep Graph Kernels, KDD 2015",
    source="https://chrsmrrs.github.io/datasets/",
    reader="graphs.tu:tu_set",
    called="IMDB-MULTI",
    folders=("TUDataset/IMDB-MULTI", "IMDB-MULTI"),
    counts={"graphs": 1_500},
)
REDDIT_BINARY = PublicSet(
    name="reddit-binary",
    modality="graphs",
    about="REDDIT-BINARY of the TU collection: who replied to whom in discussions of two kinds",
    paper="Yanardag and Vishwanathan, Deep Graph Kernels, KDD 2015",
    source="https://chrsmrrs.github.io/datasets/",
    reader="graphs.tu:tu_set",
    called="REDDIT-BINARY",
    folders=("TUDataset/REDDIT-BINARY", "REDDIT-BINARY"),
    counts={"graphs": 2_000},
)
PROTEINS = PublicSet(
    name="proteins",
    modality="graphs",
    about="PROTEINS of the TU collection: proteins, enzymes or not",
    paper="Borgwardt et al., Protein function prediction via graph kernels, Bioinformatics 2005",
    source="https://chrsmrrs.github.io/datasets/",
    reader="graphs.tu:tu_set",
    called="PROTEINS",
    folders=("TUDataset/PROTEINS", "PROTEINS"),
    counts={"graphs": 1_113},
)
NCI1 = PublicSet(
    name="nci1",
    modality="graphs",
    about="NCI1 of the TU collection: compounds, active against lung cancer or not",
    paper="Wale, Watson and Karypis, Comparison of descriptor spaces for chemical compound retrieval and "
    "classification, 2008",
    source="https://chrsmrrs.github.io/datasets/",
    reader="graphs.tu:tu_set",
    called="NCI1",
    folders=("TUDataset/NCI1", "NCI1"),
    counts={"graphs": 4_110},
)
