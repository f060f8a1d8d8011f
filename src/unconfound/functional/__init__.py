"""The equations: pure functions on tensors, one idea a file. Import what you need from its file."""
