"""What those on call will see, rehearsed at full length: `make rehearse`."""
