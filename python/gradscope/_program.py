"""Finds and runs the program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from gradscope._errors import ProgramError

HOW = 'install it with "cargo install --path ." in its repository, or set GRADSCOPE to the path of the program'


def program() -> str:
    """The path of the program: the environment variable GRADSCOPE, or `gradscope` on the PATH.

    Raises:
        ProgramError: if it is not found.
    """
    given = os.environ.get("GRADSCOPE")
    if given:
        found = shutil.which(given)
        if found is None:
            raise ProgramError(f'GRADSCOPE is "{given}", which is not an executable; {HOW}')
        return found
    found = shutil.which("gradscope")
    if found is None:
        raise ProgramError(f'no program "gradscope" on the PATH; {HOW}')
    return found


def call(arguments: Sequence[str]) -> None:
    """Runs the program and prints its notes to stderr.

    Raises:
        ProgramError: with the program's message, if it fails.
    """
    command = [program(), *arguments]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    except OSError as error:
        raise ProgramError(f'cannot start "{command[0]}": {error}; {HOW}') from error
    told = done.stderr.decode("utf-8", "replace")
    notes, message = _parted(told)
    for note in notes:
        print(f"gradscope: {note}", file=sys.stderr)
    if done.returncode != 0:
        raise ProgramError(message or f"gradscope exited with code {done.returncode}: {told.strip()}")


def _parted(told: str) -> tuple[list[str], str]:
    """Splits the program's output into notes and the error message."""
    lines = told.splitlines()
    at = next((i for i, line in enumerate(lines) if line.startswith("error: ")), len(lines))
    message = "\n".join(lines[at:]).removeprefix("error: ").strip()
    notes = (_note(line) for line in lines[:at] if not line.startswith("wrote "))
    return [note for note in notes if note.strip()], message


def _note(line: str) -> str:
    """Removes the list of card values from a note, and replaces options with keyword arguments."""
    parts = [part for part in line.split("; ") if not part.startswith("card: ")]
    return "; ".join(parts).replace("set others with --mean and --std", "set others with mean= and std=")
