"""One store out of two: what happens when either of them goes away and comes back."""
