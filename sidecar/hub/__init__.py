"""One line in, many watchers out: who watches what, and how they are told."""
