"""Systems side by side on the same clips: face only, voice only, words only, pairs, all, and each fusion head."""
