"""Damaged files of every kind that is read: see `kinds` for the list and `harness` for the rule."""
