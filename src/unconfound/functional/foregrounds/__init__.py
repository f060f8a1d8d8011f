"""Foregrounds found from the images alone: two estimators that share no colour model, and their parts."""
