"""The exceptions of this package."""


class GradscopeError(Exception):
    """Base class of the exceptions of this package."""


class ExportError(GradscopeError):
    """A network cannot be exported; the message says what would work."""


class ProgramError(GradscopeError):
    """The gradscope program is missing or failed; the message is the program's."""
