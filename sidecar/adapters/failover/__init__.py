"""One store over both: which of them serves, and what is to be done when one goes away and comes back."""
