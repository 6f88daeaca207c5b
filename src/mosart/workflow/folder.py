"""The folder of a run: its products come and go as a set, and what no run made is not touched."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import psutil

from mosart.errors import InputError

MANIFEST = ".mosart-products.json"
STAGING = ".mosart-run-"
_FOREIGN = re.compile(
    r"config\.yaml|(radar|elevation_change)\.(nc|zarr)|timeseries\.csv|volumes\.csv|mosart\.log"
    r"|report\.html|mosart\.qgz|bowser_rasters\.json"
    r"|geotiff/[a-z_]+_\d{8}\.(tif|qml)|figures/[a-z_0-9]+\.(png|pdf)"
    r"|mintpy/(timeseries|timeseriesStd|timeseriesRadar|timeseriesStdRadar|geometryGeo|geometryRadar)\.h5"
)


class ProductFolder:
    """Where a run leaves its products.

    Parameters
    ----------
    path : Path
        The folder; it need not exist.

    Notes
    -----
    A run writes all its products into a folder of its own inside (same disk, so that a rename is enough)
    and moves them to their places when all are whole: until then the products of the run before stay
    complete. A list of the products is kept beside them: it is what tells them from the user's files.
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
        try:
            listed = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))["products"]
        except (OSError, ValueError, KeyError, TypeError):
            return ()
        # Nothing outside the folder, whatever the list says.
        return tuple(
            name
            for name in listed
            if isinstance(name, str)
            and not {"..", "/", ""} & set(PurePosixPath(name).parts)
            and ":" not in name
        )

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
        ours = self.products()
        foreign = [name for name in self._named(pattern) if name not in ours]
        if foreign:
            raise InputError(
                f"{self.path} holds files that MoSARt did not leave there: {', '.join(foreign)}",
                expected="a folder without files of these names",
                got=foreign[0],
                hint="move these files away",
            )
        self._refuse_company(None)
        try:
            yield
        finally:
            added = set(self._named(pattern)) - set(ours)
            if added:
                self._write_list(sorted({*ours, *added}), complete=True)

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
    def staging(self, keep: Collection[str] = ()) -> Iterator[Path]:
        """Give a folder to write all products into, and put them in place at the end.

        Parameters
        ----------
        keep : collection of str
            Earlier products that stay unless one of the same name is written.

        Yields
        ------
        Path
            An empty folder. On an exception it is removed and the products before stay as they are.

        Raises
        ------
        InputError
            If another run came first, or a file of the user's own took a product's name meanwhile.
        """
        missing = [p for p in (self.path, *self.path.parents) if not p.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        stage = Path(tempfile.mkdtemp(prefix=STAGING, dir=self.path))
        try:
            (stage / "owner").write_text(_identity(), encoding="utf-8")
            self._refuse_company(stage)
            for leftover in self.path.glob(f"{STAGING}*"):
                # One without an owner that is this young is a run that begins just now.
                begins = not (leftover / "owner").exists() and time.time() - leftover.stat().st_mtime < 10
                if leftover != stage and not begins and not _alive(leftover):
                    shutil.rmtree(leftover, ignore_errors=True)
            products = stage / "products"
            products.mkdir()
            yield products
            self._put_in_place(products, keep)
        except BaseException:
            shutil.rmtree(stage, ignore_errors=True)
            for folder in missing:
                if not any(folder.iterdir()):
                    folder.rmdir()
            raise
        shutil.rmtree(stage, ignore_errors=True)

    def _put_in_place(self, staged: Path, keep: Collection[str]) -> None:
        new = sorted(p.relative_to(staged).as_posix() for p in staged.rglob("*") if p.is_file())
        before = self.products()
        kept = [name for name in before if name in keep and name not in new]
        old = [name for name in before if name not in kept]
        foreign = [name for name in new if name not in old and (self.path / name).exists()]
        if foreign:
            raise InputError(
                f"out: {', '.join(foreign)} appeared in {self.path} during the run",
                hint="move these files away and run again",
            )
        # Whatever is killed from here on, the list knows every file that may be there.
        self._write_list(sorted({*before, *new}), complete=False)
        for name in old:
            target = self.path / name
            if target.is_dir() and not target.is_symlink():  # Zarr
                shutil.rmtree(target)
            target.unlink(missing_ok=True)
        for name in new:
            target = self.path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            (staged / name).replace(target)
        for folder in {(self.path / name).parent for name in old} - {self.path}:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
        self._write_list(sorted({*new, *kept}), complete=True)

    def _write_list(self, names: list[str], *, complete: bool) -> None:
        text = json.dumps({"products": names, "complete": complete}, indent=1)
        temporary = self.path / f"{MANIFEST}.{os.getpid()}"
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path / MANIFEST)


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
