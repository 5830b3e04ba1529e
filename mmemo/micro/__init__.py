"""Micro-expressions: faint movements of a face that last between 1/25 s and 1/2 s; found, measured and recognised."""
