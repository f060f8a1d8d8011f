"""Graphs: in memory, from TU files and from PyTorch Geometric."""
