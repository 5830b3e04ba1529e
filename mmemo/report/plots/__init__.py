"""Plots of a result, drawn by matplotlib."""
