"""Every kind of file that is read, with a sound one and its reader."""

from .data_kinds import DATA_KINDS
from .index_kinds import INDEX_KINDS
from .run_kinds import RUN_KINDS

KINDS = (*RUN_KINDS, *INDEX_KINDS, *DATA_KINDS)
