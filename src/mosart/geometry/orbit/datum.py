"""Vertical datums: heights above a geoid made ellipsoidal, or refused; never guessed in silence."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from mosart.errors import InputError

logger = logging.getLogger(__name__)

#: Names of geoids a user may give, and the EPSG codes of their height systems.
GEOIDS = {"egm2008": 3855, "egm08": 3855, "egm96": 5773, "egm84": 5798}

_FEET = {
    "ft": 0.3048,
    "foot": 0.3048,
    "feet": 0.3048,
    "international foot": 0.3048,
    "us survey foot": 1200.0 / 3937.0,
    "us-ft": 1200.0 / 3937.0,
    "ftus": 1200.0 / 3937.0,
    "sfoot": 1200.0 / 3937.0,
}
_METRES = {"", "m", "metre", "metres", "meter", "meters"}


@dataclass(frozen=True)
class Datum:
    """How the heights of one DEM become ellipsoidal metres: ``factor · height + separation``.

    Parameters
    ----------
    factor : float
        Metres in the DEM's unit.
    transformer : pyproj.Transformer or None
        From (x, y, height in metres above the geoid) of the DEM's CRS to geodetic; its result at height
        zero is the separation.
    offset : float
        Constant separation that the user named.
    description : str
        For the log and the product.
    """

    factor: float
    transformer: pyproj.Transformer | None
    offset: float
    description: str

    @property
    def told(self) -> str:
        """The description, with the unit where it was not metres."""
        return self.description if self.factor == 1.0 else f"{self.description}; converted from feet"

    def separation(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Ellipsoidal height of the datum's zero at positions in the DEM's CRS, metres.

        Raises
        ------
        InputError
            If a geoid grid does not reach there.
        """
        if self.transformer is None:
            return np.full(np.shape(x), self.offset)
        try:
            _, _, z = self.transformer.transform(x, y, np.zeros_like(x), errcheck=True)
        except ProjError as error:
            raise _no_grid(self.description, str(error)) from None
        z = np.asarray(z, dtype=np.float64)
        if not np.all(np.isfinite(z)):
            raise _no_grid(self.description, "no separation at part of the DEM")
        return z


def _no_grid(description: str, got: str) -> InputError:
    return InputError(
        f"the heights of the DEM ({description}) cannot be made ellipsoidal",
        expected="the geoid's grid among PROJ's data files",
        got=got.strip(),
        hint="install the grid (`projsync --file us_nga_egm` or the package proj-data), or name the "
        "separation in metres with `--dem-datum`, or give an ellipsoidal DEM",
    )


def _transformer(source: pyproj.CRS, description: str) -> pyproj.Transformer:
    try:
        # Only the best operation, no ballpark: without its grid this fails instead of giving zero.
        return pyproj.Transformer.from_crs(
            source, "EPSG:4979", always_xy=True, only_best=True, allow_ballpark=False
        )
    except ProjError as error:
        raise _no_grid(description, str(error)) from None


def _unit_factor(unit: str, name: str) -> float:
    key = unit.strip().lower()
    if key in _METRES:
        return 1.0
    if key in _FEET:
        return _FEET[key]
    raise InputError(
        f"{name}: heights in “{unit}”", expected="metres or feet", hint="convert the DEM to metres"
    )


def resolve_datum(crs: pyproj.CRS, unit: str, override: str | float | None, name: str) -> Datum:
    """Decide what the heights of a DEM mean.

    Parameters
    ----------
    crs : pyproj.CRS
        The DEM's, with its vertical part where it has one.
    unit : str
        Unit that the raster band names, "" if none.
    override : str or float or None
        ``ellipsoidal``, ``EGM2008``, ``EGM96``, ``EGM84``, or the separation in metres that is added to
        heights above a geoid; None believes the file.
    name : str
        The DEM's file, for messages.

    Returns
    -------
    Datum

    Raises
    ------
    InputError
        If a unit or a name is unknown, or the geoid's grid is not installed.
    """
    factor = _unit_factor(unit, name)
    horizontal = crs.sub_crs_list[0] if crs.is_compound else crs
    if crs.is_compound and crs.sub_crs_list[1].axis_info:
        own = float(crs.sub_crs_list[1].axis_info[0].unit_conversion_factor)
        if unit.strip() and not math.isclose(own, factor, rel_tol=1e-4):
            raise InputError(
                f"{name}: the unit of the heights is contradictory",
                expected=f"the unit of the vertical CRS ({own} m)",
                got=f"band unit “{unit}”",
            )
        factor = own
    if override is not None:
        try:
            offset = float(override)
        except ValueError:
            key = str(override).strip().lower().replace(" ", "").replace("-", "")
            if key == "ellipsoidal":
                return Datum(factor, None, 0.0, "ellipsoidal, as named")
            if key not in GEOIDS:
                raise InputError(
                    f"unknown vertical datum “{override}”",
                    expected="ellipsoidal, EGM2008, EGM96, EGM84 or a separation in metres",
                ) from None
            wgs84 = pyproj.CRS.from_user_input(f"EPSG:4326+{GEOIDS[key]}")
            description = f"geoid {str(override).upper()}, as named"
            # The separation is wanted at the DEM's positions; those are turned to lon/lat by the caller's
            # own pipeline, so the transformer starts from the horizontal CRS of the DEM.
            source = (
                wgs84
                if horizontal.is_geographic
                else pyproj.crs.CompoundCRS("DEM", [horizontal, pyproj.CRS(f"EPSG:{GEOIDS[key]}")])
            )
            return Datum(factor, _transformer(source, description), 0.0, description)
        if not math.isfinite(offset):
            raise InputError(f"vertical datum “{override}”", expected="a finite number of metres") from None
        return Datum(factor, None, offset, f"separation of {offset:g} m, as named")
    if crs.is_compound:
        vertical = crs.sub_crs_list[1].name
        description = f"{vertical}, as the file says"
        return Datum(factor, _transformer(crs, description), 0.0, description)
    if len(crs.axis_info) == 3:
        own = float(crs.axis_info[2].unit_conversion_factor)
        return Datum(own, None, 0.0, "ellipsoidal, as the file says")
    logger.warning(
        "%s has no vertical datum: its heights are taken as ellipsoidal. If they are above a geoid, the "
        "whole scene is displaced by tens of metres: say so with --dem-datum",
        name,
    )
    return Datum(factor, None, 0.0, "ellipsoidal, assumed")
