"""What can go wrong, in the user's words.

Every message says what happened and what to do next. Boundary files translate foreign exceptions
into these; anything that is not a PipelineError is a bug and keeps its traceback.

    PipelineError
    ├── SettingsError    a setting is wrong, or names something that is not there
    ├── SourceError      the given file cannot be read: missing, not a video, damaged, not allowed
    │   └── DecoderCrashed  the process that decoded it crashed, hung, or took too much memory or time
    ├── PartLost         a part of a source was not read because its decoder crashed; the other parts were
    ├── ReadingStopped   the process that read a source died, or could not be started
    │   └── ReadingCancelled  it was ended because someone asked for it
    ├── BeingRead        another process reads the same source
    ├── MediaNotFound    no such video in the library
    ├── StorageError     the data folder cannot be read or written: disk full, no permission
    ├── ModelError       model weights cannot be had or loaded (Whisper, CLIP, MiniLM, OCR)
    ├── EmbeddingError   an embedding service refused, failed or sent something unusable
    ├── LibraryError     the vector store cannot be opened, or does not fit this library
    │   └── LibraryBusy  another process holds the Milvus Lite file
    └── AnswerError      the chat endpoint refused, failed or broke off
"""


class PipelineError(Exception):
    """Base of every error that a user can do something about."""

    def __init__(self, message: object = "") -> None:
        # One line that any terminal can show, whatever bytes the name of a file has.
        super().__init__("".join(c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in str(message)))


class SettingsError(PipelineError):
    """A setting is wrong, or names something that is not there."""


class SourceError(PipelineError):
    """The given file cannot be read."""


class DecoderCrashed(SourceError):
    """The process that decoded a file crashed, hung, or took too much memory or time: another try may read it."""


class PartLost(PipelineError):
    """A part of a source was not read because its decoder crashed; what was read is kept."""


class ReadingStopped(PipelineError):
    """The process that read a source died, or could not be started: the file is not to blame."""


class ReadingCancelled(ReadingStopped):
    """Someone asked for the process that read a source to be ended."""


class BeingRead(PipelineError):
    """Another process reads the same source."""


class MediaNotFound(PipelineError):
    """No such video in the library."""


class StorageError(PipelineError):
    """The data folder cannot be read or written."""


class ModelError(PipelineError):
    """Model weights cannot be had or loaded."""


class EmbeddingError(PipelineError):
    """An embedding service refused, failed or sent something unusable."""


class LibraryError(PipelineError):
    """The vector store cannot be opened, or does not fit this library."""


class LibraryBusy(LibraryError):
    """Another process holds the Milvus Lite file."""


class AnswerError(PipelineError):
    """The chat endpoint refused, failed or broke off."""
