"""The exceptions of this package."""


class GradscopeError(Exception):
    """Base class of the exceptions of this package."""


class ExportError(GradscopeError):
    """A network cannot be exported. The message suggests what would work."""


class ProgramError(GradscopeError):
    """The gradscope program is missing or failed. If it failed, the message is its own."""
