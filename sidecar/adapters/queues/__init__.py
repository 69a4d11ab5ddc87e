"""What waits for a store's next call, and takes turns there."""
