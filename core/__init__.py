"""What Tiebreak knows and does."""
