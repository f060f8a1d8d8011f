"""Where scripts of earlier versions look for `unconfound.data.graphs.pyg`."""

from unconfound.data.graphs.pyg import from_pyg

__all__ = ["from_pyg"]
