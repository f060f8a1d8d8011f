"""Foregrounds on backgrounds: data whose surroundings are confounded by design, or exchanged."""
