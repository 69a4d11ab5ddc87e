"""Watching over HTTP: Server-Sent Events, WebSocket and long-poll, with one cursor for all of them."""
