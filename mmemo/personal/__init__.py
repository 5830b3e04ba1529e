"""What is known of one person, or of one recording situation: baselines, and corrections learned from labeled clips."""
