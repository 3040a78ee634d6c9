"""Models that find joints: one file a plug-in."""
