"""Embeddings kept on disk, and the nearest of them to a query."""

from unconfound.retrieval.hits import Hits as Hits
from unconfound.retrieval.index import index as index
from unconfound.retrieval.opened import Index as Index
from unconfound.retrieval.opened import open_index as open_index
from unconfound.retrieval.search import search as search
