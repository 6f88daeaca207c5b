"""What the simulated radars look like."""

from __future__ import annotations

from dataclasses import dataclass

from mosart.errors import InputError


@dataclass(frozen=True)
class Sensor:
    """Geometry and radiometry of one imaging mode.

    Parameters
    ----------
    name : str
        Name written into the stack.
    incidence_angle : float
        Degrees from the vertical.
    range_spacing : float
        Slant range, metres a pixel.
    azimuth_spacing : float
        Metres a pixel on the ground.
    looks : float
        Equivalent number of looks of a pixel; any positive number, infinity for no speckle.
    noise : float
        Noise floor: noise-equivalent sigma nought in dB; minus infinity for none.
    wavelength : float
        Metres.
    heading : float
        Flight direction of an ascending pass, degrees clockwise from north.
    source : str
        Where the figures come from.
    """

    name: str
    incidence_angle: float
    range_spacing: float
    azimuth_spacing: float
    looks: float
    noise: float
    wavelength: float
    heading: float
    source: str


#: Presets by name: single-look complex products at full resolution.
SENSORS: dict[str, Sensor] = {
    "terrasar-x": Sensor(
        name="TerraSAR-X stripmap",
        incidence_angle=38.0,
        range_spacing=0.9094,
        azimuth_spacing=1.97,
        looks=1.0,
        noise=-22.0,
        wavelength=0.03107,
        heading=349.3,
        source="range sampling 164.83 MHz and spacing in azimuth as annotated in SSC products; T. Fritz, "
        "M. Eineder (2013), TerraSAR-X Basic Product Specification, TX-GS-DD-3302; full-performance range "
        "20-45 degrees, noise -19 dB at worst, typically -22 dB: R. Werninghaus, S. Buckreuss (2010), "
        "The TerraSAR-X mission and system design, IEEE TGRS 48(2)",
    ),
    "sentinel-1": Sensor(
        name="Sentinel-1 IW",
        incidence_angle=39.0,
        range_spacing=2.3296,
        azimuth_spacing=13.89,
        looks=1.0,
        noise=-24.0,
        wavelength=0.05547,
        heading=346.4,
        source="range sampling 64.345 MHz and spacing in azimuth as annotated in IW SLC products; noise "
        "better than -22 dB: R. Torres et al. (2012), GMES Sentinel-1 mission, Remote Sensing of "
        "Environment 120",
    ),
    "alos": Sensor(
        name="ALOS PALSAR FBS",
        incidence_angle=38.7,
        range_spacing=4.684,
        azimuth_spacing=3.2,
        looks=1.0,
        noise=-23.0,
        wavelength=0.2362,
        heading=349.0,
        source="range sampling 32 MHz, off-nadir angle 34.3 degrees, noise -23 dB: A. Rosenqvist, "
        "M. Shimada, N. Ito, M. Watanabe (2007), ALOS PALSAR: a pathfinder mission for global-scale "
        "monitoring of the environment, IEEE TGRS 45(11)",
    ),
}


def get_sensor(sensor: str | Sensor) -> Sensor:
    """Find a preset by its name; a sensor of one's own passes through.

    Parameters
    ----------
    sensor : str or Sensor
        One of :data:`SENSORS`, or a :class:`Sensor` (``dataclasses.replace`` makes one from a preset).

    Returns
    -------
    Sensor
        The sensor.

    Raises
    ------
    InputError
        If the name is not known, or a figure makes no radar.
    """
    if isinstance(sensor, str):
        if sensor not in SENSORS:
            raise InputError(
                f"unknown sensor {sensor!r}",
                expected=f"one of {', '.join(SENSORS)}",
                got=sensor,
                hint="or pass a Sensor of your own",
            )
        return SENSORS[sensor]
    figures = {
        "range_spacing": sensor.range_spacing,
        "azimuth_spacing": sensor.azimuth_spacing,
        "looks": sensor.looks,
    }
    for name, value in figures.items():
        if not value > 0:
            raise InputError(f"sensor {sensor.name!r}: {name}", expected="a positive number", got=str(value))
    if not 5.0 <= sensor.incidence_angle <= 85.0:
        raise InputError(
            f"sensor {sensor.name!r}: incidence_angle",
            expected="5 to 85 degrees",
            got=str(sensor.incidence_angle),
        )
    return sensor
