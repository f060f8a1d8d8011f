"""What `unconfound` does: one file per command, with the function of its name."""
