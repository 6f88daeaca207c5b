"""Steps of a run: what each was made of, so that a repeated run does only those that something changed for.

A step is known by the fingerprints of all that it depends on (:mod:`mosart.workflow.needs` says what) and by
the fingerprints of the files that it left. Neither dates nor the mere existence of a file count.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mosart.io.atomic import atomic_path
from mosart.io.digest import digest_data, digest_file

logger = logging.getLogger(__name__)

#: Beside the staged products: what is done already, should the run be stopped, and layers of results.
RECORDS, PIECES = "steps.json", "pieces"
_MOST = 3


@dataclass(frozen=True)
class Step:
    """Something that a run makes.

    Parameters
    ----------
    name : str
        What it is and, where there is one for every date, its date: ``inversion 20190415``.
    needs : mapping of str to str
        All that it depends on: a fingerprint by what people call it.
    files : str
        Regular expression of the products that are this step's, where several steps work at once.
    """

    name: str
    needs: Mapping[str, str]
    files: str = ".*"

    @property
    def key(self) -> str:
        """One fingerprint of all that it depends on."""
        return digest_data(dict(self.needs))


@dataclass(frozen=True)
class Record:
    """A step that was done: what it was made of, what it left (by fingerprint), and what it warned of."""

    needs: dict[str, str]
    files: dict[str, str]
    warnings: list[str] = field(default_factory=list)


def read_records(content: object) -> tuple[dict[str, Record], dict[str, str]]:
    """Read records and the config that they were made with; nothing of what is not understood."""
    try:
        data: Any = content
        records = {str(name): Record(**record) for name, record in data["steps"].items()}
        return records, {str(key): str(value) for key, value in data["config"].items()}
    except (KeyError, TypeError, AttributeError):
        return {}, {}


class Ledger:
    """The steps of a run in their staging folder, with those of earlier runs.

    Parameters
    ----------
    stage : Path
        Folder that products are written to; a run that was stopped may have left some there.
    folder : Path
        Where the products of the run before are.
    before : object
        Notes of the run before, as they were written to :data:`RECORDS`.
    config : mapping of str to str
        Keys of the config as they are now, to tell why something changed.
    causes : mapping of str to tuple of str
        Keys of the config that may be why a need (or those that begin so) changed.
    """

    def __init__(
        self,
        stage: Path,
        folder: Path,
        before: object,
        config: Mapping[str, str],
        causes: Mapping[str, tuple[str, ...]],
    ) -> None:
        self.stage, self.folder = stage, folder
        self.pieces = stage.parent / PIECES
        self._config, self._causes = dict(config), causes
        self._before, config_before = read_records(before)
        try:
            stopped = json.loads((stage.parent / RECORDS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            stopped = None
        self._own, config_own = read_records(stopped)
        self._config_before = config_own or config_before
        self._now: dict[str, Record] = {}
        self._digests: dict[Path, str] = {}
        self._said: set[str] = set()
        self.pieces.mkdir(exist_ok=True)
        if self._own:
            logger.info("a run that was stopped left finished steps here: they are used where they fit")
        whole = {self._path(stage, name) for record in self._own.values() for name in record.files}
        for path in {self._path(stage, name) for name in self._files()} - whole:
            path.unlink()
        self.done = self.reused = 0

    def kept(self, step: Step) -> bool:
        """Take over what an earlier run left of a step, if nothing that it depends on changed.

        Parameters
        ----------
        step : Step
            What is to be done next.

        Returns
        -------
        bool
            False where it must be done, and why is in the log.
        """
        found = self._find(step)
        if found is None:
            return False
        record, base = found
        if base != self.stage:
            for name in record.files:
                _link(base / name, self.stage / name)
        self._now[step.name] = record
        return True

    def holding(self, step: Step) -> Path | None:
        """Find the file that holds a layer, like :meth:`kept`, where it is."""
        found = self._find(step)
        if found is None:
            return None
        record, base = found
        self._now[step.name] = record
        return self._path(base, next(iter(record.files)))

    def inside(self, layers: Iterable[Step], whole: Step) -> None:
        """Note that layers are in the file of another step from now on."""
        files = self._now[whole.name].files
        for step in layers:
            record = next(
                (s[step.name] for s in (self._now, self._own, self._before) if step.name in s), None
            )
            warnings = record.warnings if record and record.needs == dict(step.needs) else []
            self._now[step.name] = Record(dict(step.needs), files, warnings)
        self._save()

    @contextmanager
    def working(self, *steps: Step) -> Iterator[None]:
        """Do one or several steps inside a ``with`` block, and note what they left.

        Parameters
        ----------
        *steps : Step
            What is done; new files belong to all whose `files` match.
        """
        before = self._files()
        heard = _Warnings()
        package = logging.getLogger("mosart")
        package.addHandler(heard)
        try:
            yield
        finally:
            package.removeHandler(heard)
        new = {name: digest_file(self._path(self.stage, name)) for name in sorted(self._files() - before)}
        for step in steps:
            files = {name: value for name, value in new.items() if re.fullmatch(step.files, name)}
            self._now[step.name] = Record(dict(step.needs), files, heard.texts)
        self.done += len(steps)
        self._save()

    def _find(self, step: Step) -> tuple[Record, Path] | None:
        for records, base in ((self._own, self.stage), (self._before, self.folder)):
            record = records.get(step.name)
            if record is None or record.needs != dict(step.needs):
                continue
            if all(self._intact(self._path(base, name), value) for name, value in record.files.items()):
                logger.debug("%s: reused: unchanged", step.name)
                for text in record.warnings:
                    if text not in self._said:  # steps that were done together share theirs
                        logger.warning("%s", text)
                self._said |= set(record.warnings)
                self.reused += 1
                return record, base
        level = logging.INFO if self._before or self._own else logging.DEBUG
        logger.log(level, "%s: %s", step.name, self._why(step))
        return None

    def _why(self, step: Step) -> str:
        record = self._own.get(step.name) or self._before.get(step.name)
        if record is None:
            known = {need for r in (*self._own.values(), *self._before.values()) for need in r.needs}
            texts = [f"{need} is new" for need in step.needs if known and need not in known]
            return _because(texts) if texts else "because there is no earlier result of it"
        texts = []
        for need in dict.fromkeys((*step.needs, *record.needs)):
            then, now = record.needs.get(need), step.needs.get(need)
            if then != now:
                keys = [f"`{key}` changed" for key in self._changed(need)]
                state = "is new" if then is None else "is gone" if now is None else "changed"
                texts += keys if keys and state == "changed" else [f"{need} {state}"]
        return _because(texts) if texts else "because what it left is missing or was altered"

    def _changed(self, need: str) -> list[str]:
        keys = next((keys for begin, keys in self._causes.items() if need.startswith(begin)), ())
        return [key for key in keys if self._config_before.get(key) != self._config.get(key)]

    def _intact(self, path: Path, digest: str) -> bool:
        if path not in self._digests:
            try:
                self._digests[path] = digest_file(path)
            except OSError:
                self._digests[path] = ""
        return self._digests[path] == digest

    def _path(self, base: Path, name: str) -> Path:
        return base.parent / name if name.startswith(f"{PIECES}/") else base / name

    def _files(self) -> set[str]:
        found = {p.relative_to(self.stage).as_posix() for p in self.stage.rglob("*") if p.is_file()}
        return found | {f"{PIECES}/{p.name}" for p in self.pieces.iterdir()}

    def _save(self) -> None:
        """Note what is done so far; what a stopped run did stays until the end."""
        self._write(self._own | self._now)

    def close(self) -> None:
        """Note the steps of this run alone."""
        self._write(self._now)

    def _write(self, steps: Mapping[str, Record]) -> None:
        content = {"config": self._config, "steps": {name: asdict(r) for name, r in steps.items()}}
        write_json(self.stage.parent / RECORDS, content)


class _Warnings(logging.Handler):
    """Keep the warnings of a step, to be said again where it is not done again."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _because(texts: list[str]) -> str:
    texts = list(dict.fromkeys(texts))
    more = f" and {len(texts) - _MOST} more" if len(texts) > _MOST else ""
    return f"because {', '.join(texts[:_MOST])}{more}"


def _link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where a disk knows no second names."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def write_json(path: Path, content: object) -> None:
    """Write a small JSON file, whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    content : object
        What JSON can hold.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
