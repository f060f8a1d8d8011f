"""ICL-MSR: the method, what gives its strata, and how these move."""
