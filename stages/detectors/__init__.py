"""Models that find people: one file a plug-in."""
