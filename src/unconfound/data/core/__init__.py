"""Contracts: what every source yields, whatever it holds."""
