"""Plots of a result, by matplotlib."""
