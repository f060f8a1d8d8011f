"""DCML's environments: the soft split of the samples that a frozen model treats least alike, and how it is learnt."""
