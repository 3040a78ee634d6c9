"""Rules that turn tracks into events: one file a plug-in."""
