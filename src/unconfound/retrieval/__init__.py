"""Embeddings kept on disk, and the nearest of them to a query: what `unconfound.index` and `unconfound.search` use."""

from unconfound.retrieval.hits import Hits as Hits
from unconfound.retrieval.index import Index as Index
from unconfound.retrieval.index import open_index as open_index
