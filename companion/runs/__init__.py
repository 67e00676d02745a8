"""Runs: an experiment's contract, the runner, and the folders and tables that runs are kept in."""
