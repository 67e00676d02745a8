"""Run a notebook with other parameters: the one runner of the book, the CLI and CI.

A notebook is a jupytext ``py:percent`` file with one cell tagged ``parameters``, literals
only: the given values go into a cell after it, and nothing computed in it is computed anew.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion.book.executed import BOOK, KERNELSPEC, STAMP, NotebookError, clean, is_book, stamp
from companion.book.missing import CellError, Missing
from companion.runs.config import PROFILES, ParameterError
from companion.runs.locks import held
from companion.runs.places import RESULTS_VARIABLE, working_root
from companion.runs.registry import find
from mixflow.files import SUFFIX, write_atomically

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager


def run_notebook(
    source: Path,
    *,
    out: Path,
    parameters: dict[str, Any] | None = None,
    results: Path | None = None,
    progress: bool = False,
) -> Path:
    """Execute a notebook and write ``out/NAME.ipynb``.

    A page in the book's own folder has the parameters that are written in it, and shows the
    published runs alone: the kernel's folder of runs, ``$MIXFLOW_RESULTS``, is an empty one.

    Parameters
    ----------
    source
        The ``.py`` notebook.
    out
        Folder for the executed notebook; made when missing.
    parameters
        Values by name, in place of the cell's; checked before any kernel starts.
    results
        Folder of the runs that the page shows on top of the published ones, and adds to; by
        default that of whoever works here.
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
    BusyError
        If another process is executing it into the same folder.
    """
    source = source.resolve()
    values = check(source, out, parameters or {})
    notebook = read_notebook(source)
    notebook.metadata[STAMP] = stamp(source, values)
    _inject(notebook, values)
    page = out / f"{source.stem}.ipynb"
    lock = out / f".{source.stem}.lock{SUFFIX}"
    with held(lock, f"executing {page}"), _empty(out / f".{source.stem}.runs{SUFFIX}") as none:
        runs = none if is_book(out, source) else results or working_root()
        partial = page.with_suffix(f"{SUFFIX}.ipynb").resolve()
        _execute(notebook, source, partial, progress, {RESULTS_VARIABLE: str(runs.absolute())})
        _write_clean(partial, page)
    return page


@contextlib.contextmanager
def _empty(folder: Path) -> Iterator[Path]:
    """Give an empty folder that is removed at the end, or by the next after a kill."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check(source: Path, out: Path, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that a notebook is run with.

    Raises
    ------
    NotebookError
        If the source or a parameter is wrong, or one is given for a page of the book.
    """
    values = check_parameters(source.name, parameters_of(source), parameters)
    if values and is_book(out, source):
        raise NotebookError(
            f"the book shows {source.name} as it is written: leave out its parameters, or choose "
            f"another folder than {BOOK}"
        )
    return values


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
    """Put a cell with the given values after the parameters cell."""
    import nbformat.v4

    if not values:
        return
    lines = ["# Given for this run", *(f"{name} = {value!r}" for name, value in values.items())]
    cell = nbformat.v4.new_code_cell("\n".join(lines), metadata={"tags": ["injected-parameters"]})
    tagged = ["parameters" in cell.metadata.get("tags", []) for cell in notebook.cells]
    notebook.cells.insert(tagged.index(True) + 1, cell)


def _execute(
    notebook: Any, source: Path, partial: Path, progress: bool, environment: Mapping[str, str]
) -> None:
    """Execute with papermill, which saves ``partial`` after every cell."""
    import papermill

    notebook.metadata["kernelspec"] = dict(KERNELSPEC)
    try:
        papermill.execute_notebook(
            notebook,
            str(partial),
            cwd=str(_root(source)),
            kernel_name="python3",
            language="python",
            progress_bar=progress,
            start_timeout=180,
            kernel_manager_class=_own_kernel_manager(environment),
            allow_errors=True,  # the next line decides
            on_cell_error=Missing().note_or_fail,
        )
    except CellError as error:
        what = str(error)
    except papermill.PapermillExecutionError as error:
        first_line = (error.source.strip() or "(empty)").splitlines()[0]
        what = f"cell {error.cell_index + 1} ({first_line!r}) failed: {error.ename}: {error.evalue}"
    except RuntimeError as error:  # the kernel died or did not start
        what = f"the kernel stopped: {error}"
    except OSError:  # a full disk: what could be kept is of no use
        partial.unlink(missing_ok=True)
        raise
    else:
        return
    raise NotebookError(f"{source.name}: {what}\nWhat ran until then is kept in {partial}")


def _own_kernel_manager(environment: Mapping[str, str]) -> type[AsyncKernelManager]:
    """Return a manager whose ``python3`` is this interpreter, whatever else is registered.

    Its environment is this process's with the given variables.
    """
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from traitlets import default

    class OwnKernelManager(AsyncKernelManager):
        """Start ipykernel under ``sys.executable``."""

        @default("kernel_spec_manager")
        def _only_native(self) -> KernelSpecManager:
            return KernelSpecManager(kernel_dirs=[], ensure_native_kernel=True, parent=self)

        async def start_kernel(self, **options: Any) -> Any:  # type: ignore[override]
            env = {**(options.pop("env", None) or os.environ), **environment}
            return await super().start_kernel(env=env, **options)

    return OwnKernelManager


def _root(source: Path) -> Path:
    """Return the folder a notebook runs in: the repository it lies in, or its own folder."""
    for folder in source.parents:
        if (folder / "pyproject.toml").is_file():
            return folder
    return source.parent


def _write_clean(partial: Path, page: Path) -> None:
    """Put the executed notebook in its place, stripped of what differs between executions."""
    import nbformat

    notebook = clean(nbformat.read(partial, as_version=4))
    write_atomically(page, (nbformat.writes(notebook) + "\n").encode())
    partial.unlink()
