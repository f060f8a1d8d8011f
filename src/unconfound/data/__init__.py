"""Where samples come from: `load` finds the reader; there is a package per modality, and one for public sets."""

from unconfound.data.core.batch import Batch as Batch
from unconfound.data.core.batch import Graphs as Graphs
from unconfound.data.core.batch import Sequences as Sequences
from unconfound.data.core.source import Dataset as Dataset
from unconfound.data.core.source import MemorySource as MemorySource
from unconfound.data.core.source import Schema as Schema
from unconfound.data.core.source import Source as Source
