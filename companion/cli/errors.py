"""How the command line fails: short messages on stderr and documented exit codes."""

from __future__ import annotations

import warnings
from typing import Any, TextIO

import typer
from typer.core import TyperGroup

from companion.runs.locks import BusyError
from mixflow.files import out_of_space

FAILED, USAGE, DATA, INTERRUPTED = 1, 2, 3, 130
# Torch raises RuntimeError, on a GPU a kind of it.
_NO_MEMORY = ("can't allocate memory", "out of memory", "bad_alloc")


class PlainErrors(TyperGroup):
    """Turn exceptions into one or two lines on stderr and the documented exit codes."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command named in the context."""
        debug = ctx.params.get("debug", False)
        ctx.obj = {"debug": debug}
        with warnings.catch_warnings():
            if not debug:
                warnings.showwarning = _show_warning
            try:
                return super().invoke(ctx)
            except KeyboardInterrupt:
                hint = "interrupted; the same command goes on from the last checkpoint"
                typer.echo(hint, err=True)
                raise typer.Exit(INTERRUPTED) from None
            except Exception as error:
                if debug or _is_typers_own(error):
                    raise
                typer.echo(f"error: {_message(error)}", err=True)
                raise typer.Exit(_exit_code(error)) from None


def _is_typers_own(error: Exception) -> bool:
    # Usage errors know how to show themselves; where their class lives depends on the version.
    return isinstance(error, typer.Exit | typer.Abort | BrokenPipeError) or hasattr(error, "show")


def _message(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"{error.name} is not installed; in the checkout: make env"
    if remedy := remedy_of(error):
        return remedy
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.strerror}: {error.filename}"
    if isinstance(error, ValueError | OSError | BusyError) and str(error):
        return str(error)  # ours, or the system's: written to be read
    return f"{type(error).__name__}: {error} ('mixflow --debug ...' shows where)"


def remedy_of(error: Exception) -> str | None:
    """Return what to do about a machine that is too small for what was asked; else None."""
    if out_of_space(error) and "no space left" not in str(error):  # a StoreError says it itself
        return "no space left on the disk; free some, then give the same command again"
    text = str(error)
    if isinstance(error, MemoryError) or any(words in text for words in _NO_MEMORY):
        return (
            f"not enough memory; ask for fewer components, a smaller model or batch, or a machine "
            f"with more ({type(error).__name__}: {' '.join(text.split())[:200]})"
        )
    return None


def _exit_code(error: Exception) -> int:
    from companion.runs.config import ParameterError
    from mixflow.datasets import DatasetError

    if isinstance(error, ParameterError):
        return USAGE
    return DATA if isinstance(error, DatasetError) else FAILED


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    typer.echo(f"warning: {message}", err=True)
