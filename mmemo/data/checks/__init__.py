"""Checks of a manifest: leaks between splits, shortcuts to the labels, near-duplicate recordings."""
