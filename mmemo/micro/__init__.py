"""Micro-expressions, faint movements of a face of 1/25 s to 1/2 s: spotting, strength and classification."""
