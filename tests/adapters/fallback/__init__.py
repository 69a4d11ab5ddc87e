"""One store out of two: lists of live and past jobs, keys that Redis has lost, and either of the two away."""
