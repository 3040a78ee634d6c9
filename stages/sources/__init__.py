"""Where frames come from: one file a plug-in."""
