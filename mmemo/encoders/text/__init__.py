"""Encoders of the words, and the networks behind them."""
