"""What a user can say: the flags of the command line and the keys of recipes, as dataclasses.

Nothing here imports torch, so that no usage text waits for it.
"""
