"""What runs beside the requests, for ever: recording, looking for stuck jobs, letting go of old ones."""
