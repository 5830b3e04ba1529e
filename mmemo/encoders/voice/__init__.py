"""Encoders of the voice, and the networks behind them."""
