"""Annotated streams for others to watch: each one encoded and sent by an FFmpeg process of its own."""
