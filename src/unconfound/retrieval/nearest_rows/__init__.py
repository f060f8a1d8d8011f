"""The nearest of many rows of numbers, whatever they stand for."""
