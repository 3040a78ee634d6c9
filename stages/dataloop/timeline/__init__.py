"""From people in frames to annotations with key frames, and back to what the platform shows. Pure."""
