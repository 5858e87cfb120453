"""Chat with your video, as a library: `from pipeline import build`."""

__all__ = ["build"]


def __getattr__(name: str) -> object:
    if name != "build":
        raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
    from pipeline.workflow import build  # only now: a process that decodes needs none of it

    return build
