"""Parts of data: to train on, to choose by, to test on."""
