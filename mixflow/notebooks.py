"""Run a notebook with other parameters: the one runner of the book, the CLI and CI.

A notebook is a jupytext ``py:percent`` file with one cell tagged ``parameters``, literals
only: the given values go into a cell after it, and nothing computed in it is computed anew.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mixflow.experiments import ParameterError, find
from mixflow.experiments.base import PROFILES

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager

# What changes from one execution to the next without the page changing.
_VOLATILE_NOTEBOOK = {"papermill", "jupytext", "language_info"}
_VOLATILE_CELL = {"papermill", "execution", "ExecuteTime", "lines_to_next_cell"}
_KERNELSPEC = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
_CELL_FILE = re.compile(r"\S*ipykernel_\d+[/\\]\d+\.py")


class NotebookError(ValueError):
    """A notebook cannot be run as asked, or a cell of it failed."""


def run_notebook(
    source: Path,
    *,
    out: Path,
    parameters: dict[str, Any] | None = None,
    progress: bool = False,
) -> Path:
    """Execute a notebook and write ``out/NAME.ipynb``.

    Parameters
    ----------
    source
        The ``.py`` notebook.
    out
        Folder for the executed notebook; made when missing.
    parameters
        Values by name, in place of the cell's; checked before any kernel starts.
    progress
        Show a progress bar on stderr.

    Returns
    -------
    Path
        The executed notebook. Equal outputs give equal bytes.

    Raises
    ------
    NotebookError
        If the source or a parameter is wrong, or a cell fails: then ``out/NAME.partial.ipynb``
        keeps what ran, and an older ``out/NAME.ipynb`` stays as it was.
    """
    import nbformat

    source = source.resolve()
    notebook = read_notebook(source)
    literals = _literals(notebook, source)
    values = check_parameters(source.name, literals, parameters or {})
    _inject(notebook, values)
    out.mkdir(parents=True, exist_ok=True)
    partial = out.resolve() / f"{source.stem}.partial.ipynb"
    _execute(notebook, source, partial, progress)
    _write(clean(nbformat.read(partial, as_version=4)), partial.with_name(f"{source.stem}.ipynb"))
    partial.unlink()
    return partial.with_name(f"{source.stem}.ipynb")


def read_notebook(source: Path) -> Any:
    """Return a ``py:percent`` file as a notebook without outputs."""
    import jupytext

    if source.suffix != ".py":
        raise NotebookError(f"{source.name}: expected a jupytext py:percent file, NAME.py")
    if not source.is_file():
        raise NotebookError(f"no notebook {source} (see the folder notebooks/)")
    return jupytext.read(source, fmt="py:percent")


def parameters_of(source: Path) -> dict[str, Any]:
    """Return the parameters of a notebook with the values written in it."""
    return _literals(read_notebook(source), source)


def check_parameters(
    owner: str, literals: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the given values in the order of the notebook, each of the right type.

    When the notebook names an experiment, the experiment's own config judges the values too.
    """
    for name in given:
        if name not in literals:
            close = difflib.get_close_matches(name, literals, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            known = ", ".join(literals) or "none"
            raise NotebookError(f"{owner} has no parameter {name!r}{hint} (known: {known})")
    fields = _check_with_experiment(literals, given)
    values = {}
    for name in sorted(given, key=list(literals).index):
        value, literal = given[name], literals[name]
        # A config field may be optional where the notebook gives a number.
        if not (value is None and name in fields) and not _fits(value, literal):
            kind = f"{type(literal).__name__} like {literal!r}"
            raise NotebookError(f"{owner}: {name}={value!r} is of the wrong type; expected {kind}")
        values[name] = float(value) if isinstance(literal, float) and value is not None else value
    return values


def clean(notebook: Any) -> Any:
    """Strip from an executed notebook, in place, what differs between equal executions."""
    for key in _VOLATILE_NOTEBOOK & set(notebook.metadata):
        del notebook.metadata[key]
    notebook.metadata["kernelspec"] = dict(_KERNELSPEC)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for position, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{position:03d}"
        for key in _VOLATILE_CELL & set(cell.metadata):
            del cell.metadata[key]
        if cell.metadata.get("tags") == []:
            del cell.metadata["tags"]
        if cell.cell_type == "code":
            cell["execution_count"] = None
            cell["outputs"] = _clean_outputs(cell.outputs)
    return notebook


def _clean_outputs(outputs: list[Any]) -> list[Any]:
    """Join the pieces of a stream, whose borders depend on timing, and drop counters."""
    merged: list[Any] = []
    for output in outputs:
        if output.output_type == "stream":
            output["text"] = _CELL_FILE.sub("<cell>", output.text)
            if merged and merged[-1].get("name") == output.name:
                merged[-1]["text"] += output.text
                continue
        if "execution_count" in output:
            output["execution_count"] = None
        merged.append(output)
    return merged


def _literals(notebook: Any, source: Path) -> dict[str, Any]:
    """Return name -> value of the cell tagged ``parameters``."""
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise NotebookError(
            f'{source.name} has {len(cells)} cells tagged "parameters"; it needs exactly one: '
            '# %% tags=["parameters"]'
        )
    try:
        statements = ast.parse(cells[0].source).body
    except SyntaxError as error:
        raise NotebookError(f"{source.name}: the parameters cell is no Python: {error}") from None
    return dict(_literal(statement, source) for statement in statements)


def _literal(statement: ast.stmt, source: Path) -> tuple[str, Any]:
    """Return the name and value of one ``name = literal``."""
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ):
            with contextlib.suppress(ValueError, TypeError):
                return name, ast.literal_eval(value)
    raise NotebookError(
        f"{source.name}: the parameters cell may hold only name = literal, not "
        f"{ast.unparse(statement)!r}; compute in the next cell"
    )


def _check_with_experiment(literals: Mapping[str, Any], given: Mapping[str, Any]) -> set[str]:
    """Let the config of the notebook's experiment judge the values; return its field names."""
    experiment = given.get("experiment", literals.get("experiment"))
    if not isinstance(experiment, str):
        return set()
    try:
        found = find(experiment)
        fields = set(found.config.model_fields)
        values = {name: value for name, value in given.items() if name in fields}
        # A page may know profiles of its own ("stored"); its default is always allowed.
        profile = values.pop("profile", None)
        if profile is None or profile == literals.get("profile"):
            profile = PROFILES[0]
        found.configure(profile, **values)
    except ParameterError as error:
        raise NotebookError(str(error)) from None
    return fields


def _fits(value: Any, literal: Any) -> bool:
    """Tell whether a value has the type of the literal it replaces."""
    if not _is_literal(value):
        return False
    match literal:
        case None:
            return True
        case float():
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case list() | tuple():
            return isinstance(value, (list, tuple)) and all(
                not literal or any(_fits(item, example) for example in literal) for item in value
            )
    return type(value) is type(literal)


def _is_literal(value: Any) -> bool:
    """Tell whether a value survives being written into a cell."""
    with contextlib.suppress(ValueError, SyntaxError, TypeError):
        return bool(ast.literal_eval(repr(value)) == value)
    return False


def _inject(notebook: Any, values: Mapping[str, Any]) -> None:
    """Put a cell with the given values after the parameters cell, as papermill would."""
    import nbformat.v4

    if not values:
        return
    # Ours: papermill's own is formatted differently when black happens to be installed.
    lines = ["# Given for this run", *(f"{name} = {value!r}" for name, value in values.items())]
    cell = nbformat.v4.new_code_cell("\n".join(lines), metadata={"tags": ["injected-parameters"]})
    tagged = ["parameters" in cell.metadata.get("tags", []) for cell in notebook.cells]
    notebook.cells.insert(tagged.index(True) + 1, cell)


def _execute(notebook: Any, source: Path, partial: Path, progress: bool) -> None:
    """Execute with papermill, which saves ``partial`` after every cell."""
    import papermill

    notebook.metadata["kernelspec"] = dict(_KERNELSPEC)
    try:
        papermill.execute_notebook(
            notebook,
            str(partial),
            cwd=str(_root(source)),
            kernel_name="python3",
            language="python",
            progress_bar=progress,
            start_timeout=180,
            kernel_manager_class=_own_kernel_manager(),
        )
    except papermill.PapermillExecutionError as error:
        first_line = (error.source.strip() or "(empty)").splitlines()[0]
        what = f"cell {error.cell_index + 1} ({first_line!r}) failed: {error.ename}: {error.evalue}"
    except RuntimeError as error:  # the kernel died or did not start
        what = f"the kernel stopped: {error}"
    else:
        return
    raise NotebookError(f"{source.name}: {what}\nWhat ran until then is kept in {partial}")


def _own_kernel_manager() -> type[AsyncKernelManager]:
    """Return a manager whose ``python3`` is this interpreter, whatever else is registered."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from traitlets import default

    class OwnKernelManager(AsyncKernelManager):
        """Start ipykernel under ``sys.executable``."""

        @default("kernel_spec_manager")
        def _only_native(self) -> KernelSpecManager:
            return KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True, parent=self)

    return OwnKernelManager


def _root(source: Path) -> Path:
    """Return the folder a notebook runs in: the repository it lies in, or its own folder."""
    for folder in source.parents:
        if (folder / "pyproject.toml").is_file():
            return folder
    return source.parent


def _write(notebook: Any, path: Path) -> None:
    """Write whole or not at all."""
    import nbformat

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
