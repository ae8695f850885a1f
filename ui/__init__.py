"""Where people meet Tiebreak: pages and the command line."""
