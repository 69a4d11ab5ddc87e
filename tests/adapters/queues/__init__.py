"""What waits for a store's next call, and how a crowd takes turns."""
