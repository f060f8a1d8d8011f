"""The equations: pure functions on tensors, one idea a file. Import what you need from its file.

What holds for all of them, of precision and NaN, stands in `inputs`.
"""
