"""Learn representations of what a sample is, not of where it stands, and show whether it succeeded."""

__version__ = "0.1.0"
