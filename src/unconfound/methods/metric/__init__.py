"""Metric learning: the method, its losses by name, and those of pytorch-metric-learning."""
