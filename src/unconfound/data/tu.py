"""Where scripts of earlier versions look for `unconfound.data.graphs.tu`."""

from unconfound.data.graphs.tu import tu_folder, tu_set

__all__ = ["tu_folder", "tu_set"]
