"""Sequences: texts, sounds and series."""
