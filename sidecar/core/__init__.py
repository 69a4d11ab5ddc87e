"""The rule for change: pure functions over frozen values, no clock and no I/O."""
