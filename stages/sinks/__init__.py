"""Where results go: one file a plug-in."""
