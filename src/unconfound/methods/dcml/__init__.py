"""DCML: the method, its losses, and how its environments are learnt."""
