"""The errors of this package."""


class GradscopeError(Exception):
    """Any error of this package."""


class ExportError(GradscopeError):
    """A network cannot be exported; the message says what would work."""


class ProgramError(GradscopeError):
    """The program gradscope is missing or failed; the message is the program's own."""
