"""The commands of `tiebreak`, by what they are about."""
