"""Public sets, each read as it was published: a file has the record (`PublicSet`) and the reader."""
