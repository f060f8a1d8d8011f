"""Where samples come from: one file a modality, the built-in demo, the named public sets."""

from unconfound.data.batch import Batch as Batch
from unconfound.data.batch import Graphs as Graphs
from unconfound.data.batch import Sequences as Sequences
from unconfound.data.source import Dataset as Dataset
from unconfound.data.source import MemorySource as MemorySource
from unconfound.data.source import Schema as Schema
from unconfound.data.source import Source as Source
