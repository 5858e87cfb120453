"""Chat with your video, as a library: `from pipeline import build`."""

from pipeline.workflow import build

__all__ = ["build"]
