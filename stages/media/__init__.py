"""Video and pictures in files, through FFmpeg and OpenCV: opening, decoding, time, encoding."""
