"""Chat with your video, as a library."""
