"""The folder of a run: its products come and go as a set, and what no run made is not touched.

A run writes into a folder of its own inside. When all is whole it notes there what is to be moved, and moves
it: a run that is killed before leaves the earlier products as they were, and what a later one finds noted it
moves to the end.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import psutil

from mosart.errors import InputError

from .steps import PIECES, RECORDS, write_json

MANIFEST = ".mosart-products.json"
STAGING = ".mosart-run-"
_MOVES = "moves.json"
_FOREIGN = re.compile(
    r"config\.yaml|(radar(_[\w.+-]+)?|elevation_change)\.(nc|zarr)|timeseries\.csv|volumes\.csv|areas\.geojson|mosart\.log"
    r"|report\.html|mosart\.qgz|bowser_rasters\.json"
    r"|geotiff/[a-z_]+_\d{8}\.(tif|qml)|figures/[\w.+~-]+\.(png|pdf)"
    r"|mintpy/(timeseries|timeseriesStd|geometryGeo|(timeseriesRadar|timeseriesStdRadar|geometryRadar)(_[\w.+-]+)?)"
    r"\.h5"
)


class ProductFolder:
    """Where a run leaves its products.

    Parameters
    ----------
    path : Path
        The folder; it need not exist.

    Notes
    -----
    A list of the products is kept beside them: it is what tells them from the user's files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def examine(self, inputs: Iterable[Path] = (), *, making: Collection[str] = ()) -> None:
        """Check, without changing anything, that a run can leave its products here.

        Parameters
        ----------
        inputs : iterable of Path
            Files that the run reads.
        making : collection of str
            Products of this run besides the usual ones: a file of the user's own may have such a name
            where a run does not make it.

        Raises
        ------
        InputError
            If the folder is a file or cannot be written, if a file of the user's own has a product's name,
            if an input is a product that the run would replace, or if another run is at work here.
        """
        where = next(p for p in (self.path, *self.path.parents) if p.exists() or p.is_symlink())
        hint = "choose another `out` folder"
        if not where.is_dir():
            raise InputError(
                f"out: {self.path} cannot be a folder",
                expected="a folder",
                got=f"{where} is a file",
                hint=hint,
            )
        try:
            Path(tempfile.mkdtemp(prefix=".mosart-test-", dir=where)).rmdir()
        except OSError as error:
            raise InputError(
                f"out: the folder {self.path} cannot be written",
                expected=f"permission to write in {where}",
                got=error.strerror or str(error),
                hint=hint,
            ) from error
        if where != self.path:
            return
        ours = self.products()
        named = [*self._named_like_products(), *(n for n in making if (self.path / n).exists())]
        foreign = [name for name in named if name not in ours]
        if foreign:
            raise InputError(
                f"out: {self.path} holds files that no run of MoSARt left there: {', '.join(foreign)}",
                expected="a folder without files of these names",
                got=foreign[0],
                hint="choose another `out` folder, or move these files away",
            )
        for source in inputs:
            resolved = source.resolve()
            if any((self.path / name).resolve() == resolved for name in ours):
                raise InputError(
                    f"out: {source} is a product in {self.path} that this run would replace",
                    expected="input from elsewhere",
                    got=str(source),
                    hint="choose another `out` folder, or copy the input elsewhere",
                )
        self._refuse_company(None)

    def products(self) -> tuple[str, ...]:
        """List the products that runs left here, as paths relative to the folder."""
        return _inside(_read(self.path / MANIFEST).get("products"))

    def records(self) -> object:
        """Give what the run before noted of its steps, for :class:`mosart.workflow.steps.Ledger`."""
        return _read(self.path / MANIFEST).get("records")

    @contextmanager
    def amended(self, pattern: str) -> Iterator[None]:
        """Let products be made again, or others be added, inside a ``with`` block.

        Parameters
        ----------
        pattern : str
            Regular expression of their names.

        Raises
        ------
        InputError
            If a file of the user's own has such a name, or a run is at work here.
        """
        self._refuse_company(None)
        self.finish()
        ours = self.products()
        foreign = [name for name in self._named(pattern) if name not in ours]
        if foreign:
            raise InputError(
                f"{self.path} holds files that MoSARt did not leave there: {', '.join(foreign)}",
                expected="a folder without files of these names",
                got=foreign[0],
                hint="move these files away",
            )
        try:
            yield
        finally:
            added = set(self._named(pattern)) - set(ours)
            if added:
                self._write_list([*ours, *added], self.records(), complete=True)

    def _named(self, pattern: str) -> list[str]:
        return [name for name in self._named_like_products() if re.fullmatch(pattern, name)]

    def _named_like_products(self) -> list[str]:
        found = (
            p.relative_to(self.path).as_posix() for pattern in ("*", "*/*") for p in self.path.glob(pattern)
        )
        return sorted(name for name in found if _FOREIGN.fullmatch(name))

    def _refuse_company(self, own: Path | None) -> None:
        for other in self.path.glob(f"{STAGING}*"):
            if other != own and _alive(other) and (own is None or _rank(other) < _rank(own)):
                raise InputError(
                    f"out: another run is at work in {self.path}",
                    expected="one run at a time",
                    got=(other / "owner").read_text(encoding="utf-8"),
                    hint="wait for it, or choose another `out` folder",
                )

    @contextmanager
    def staging(self, keep: Collection[str] = (), *, resume: bool = False) -> Iterator[Path]:
        """Give a folder to write all products into, and put them in place at the end.

        Parameters
        ----------
        keep : collection of str
            Earlier products that stay unless one of the same name is written.
        resume : bool
            Take over what a run left that was stopped, with its notes of finished steps, and leave such a
            folder where this one is stopped.

        Yields
        ------
        Path
            A folder, empty but for that. On an exception the products before stay as they are.

        Raises
        ------
        InputError
            If another run came first, or a file of the user's own took a product's name meanwhile.
        """
        missing = [p for p in (self.path, *self.path.parents) if not p.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=STAGING, dir=self.path))
        products = stage / "products"
        try:
            (stage / "owner").write_text(_identity(), encoding="utf-8")
            self._refuse_company(stage)
            for leftover in self._leftovers(stage):
                moved = self._finish_moves(leftover)
                if resume and not moved and not products.exists() and _has_records(leftover):
                    _take_over(leftover, stage)
                shutil.rmtree(leftover, ignore_errors=True)
            products.mkdir(exist_ok=True)
            yield products
            self._note_moves(stage, keep)
        except BaseException as error:
            # Finished steps are worth keeping, but not on a disk that is full.
            failed_writing = isinstance(error, OSError) or isinstance(error.__cause__, OSError)
            if resume and not failed_writing and _has_records(stage):
                _disown(stage)
            else:
                shutil.rmtree(stage, ignore_errors=True)
                for folder in missing:
                    if folder.is_dir() and not any(folder.iterdir()):
                        folder.rmdir()
            raise
        try:
            self._finish_moves(stage)
        except BaseException:
            _disown(stage)
            raise
        shutil.rmtree(stage, ignore_errors=True)

    def _leftovers(self, own: Path | None) -> list[Path]:
        """Find folders of runs that are gone, the latest first."""
        found = []
        for leftover in self.path.glob(f"{STAGING}*"):
            # One without an owner that is this young is a run that begins just now.
            begins = not (leftover / "owner").exists() and time.time() - leftover.stat().st_mtime < 10
            if leftover != own and not begins and not _alive(leftover):
                found.append(leftover)
        return sorted(found, key=_rank, reverse=True)

    def finish(self) -> None:
        """Put in place what a run that was killed had made whole, and was moving."""
        for leftover in self._leftovers(None):
            if self._finish_moves(leftover):
                shutil.rmtree(leftover, ignore_errors=True)

    def _note_moves(self, stage: Path, keep: Collection[str]) -> None:
        """Note what is to be done to put a whole set in place: from here on it is done, by whom ever."""
        staged = stage / "products"
        new = sorted(p.relative_to(staged).as_posix() for p in staged.rglob("*") if p.is_file())
        before = self.products()
        kept = [name for name in before if name in keep and name not in new]
        foreign = [name for name in new if name not in before and (self.path / name).exists()]
        if foreign:
            raise InputError(
                f"out: {', '.join(foreign)} appeared in {self.path} during the run",
                hint="move these files away and run again",
            )
        stale = [name for name in before if name not in new and name not in kept]
        records = _read(stage / RECORDS) or self.records()
        moves = {"new": new, "kept": kept, "stale": stale, "records": records}
        write_json(stage / _MOVES, moves)

    def _finish_moves(self, stage: Path) -> bool:
        """Do what is noted, as far as it is not done; tell whether anything was."""
        moves = _read(stage / _MOVES)
        if not moves:
            return False
        new, kept, stale = (_inside(moves.get(part)) for part in ("new", "kept", "stale"))
        staged = stage / "products"
        # Whatever is killed from here on, the list knows every file that may be there.
        self._write_list([*new, *kept, *stale], moves.get("records"), complete=False)
        for name in new:
            if (staged / name).exists():
                target = self.path / name
                target.parent.mkdir(parents=True, exist_ok=True)
                (staged / name).replace(target)
        for name in stale:
            target = self.path / name
            if target.is_dir() and not target.is_symlink():  # Zarr
                shutil.rmtree(target)
            target.unlink(missing_ok=True)
        for folder in {(self.path / name).parent for name in stale} - {self.path}:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        self._write_list([*new, *kept], moves.get("records"), complete=True)
        return True

    def _write_list(self, names: Iterable[str], records: object, *, complete: bool) -> None:
        content = {"products": sorted(set(names)), "complete": complete, "records": records}
        write_json(self.path / MANIFEST, content)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _inside(listed: object) -> tuple[str, ...]:
    """Names of files, none outside the folder, whatever the list says."""
    return tuple(
        name
        for name in (listed if isinstance(listed, list) else ())
        if isinstance(name, str) and not {"..", "/", ""} & set(PurePosixPath(name).parts) and ":" not in name
    )


def _has_records(stage: Path) -> bool:
    return bool(_read(stage / RECORDS).get("steps"))


def _disown(stage: Path) -> None:
    """Leave a folder to whichever run comes next, of this process too."""
    (stage / "owner").write_text("nobody", encoding="utf-8")


def _take_over(leftover: Path, stage: Path) -> None:
    """Move the work of a run that was stopped to the folder of this one, its notes last."""
    for name in ("products", PIECES, RECORDS):
        if (leftover / name).exists():
            (leftover / name).replace(stage / name)


def _identity() -> str:
    process = psutil.Process()
    return f"{socket.gethostname()} {process.pid} {process.create_time():.0f}"


def _rank(stage: Path) -> tuple[float, str]:
    return stage.stat().st_mtime, stage.name


def _alive(stage: Path) -> bool:
    """Whether the run that a staging folder belongs to is (as far as can be known) still at work."""
    try:
        host, pid, created = (stage / "owner").read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return False
    if host != socket.gethostname():
        return True
    try:
        return bool(abs(psutil.Process(int(pid)).create_time() - float(created)) < 2)
    except psutil.Error:
        return False
