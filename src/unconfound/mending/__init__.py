"""Mend an encoder: take out of its embeddings, or of its classifier, what changes with the background or a nuisance."""
