"""Encoders of the face, and the networks behind them."""
