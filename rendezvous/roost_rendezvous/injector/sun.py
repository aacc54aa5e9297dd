"""Where the sun stands, from place and time, by the formulae of NOAA's solar calculator (after Jean Meeus,
*Astronomical Algorithms*). Good to a minute of sunrise and sunset between the polar circles from 1900 to 2100.

Pure. Degrees everywhere outside; north and east are positive.
"""

from math import acos, cos, degrees, pi, radians, sin, tan
from typing import Literal, TypeAlias

Phase: TypeAlias = Literal["day", "twilight", "night"]

HORIZON = -0.833
"""Elevation of the sun's centre at sunrise and sunset: refraction of 34' and the sun's radius of 16'."""
CIVIL_TWILIGHT = -6.0
_DAY_NS = 86_400_000_000_000
_DAYS_TO_2000 = 10_957.5
"""From 1970-01-01 00:00 to 2000-01-01 12:00 UTC."""


def elevation(wall_ns: int, latitude: float, longitude: float) -> float:
    """Degrees of the sun's centre above the horizon, without refraction. `wall_ns` counts from 1970, UTC."""
    century = (wall_ns / _DAY_NS - _DAYS_TO_2000) / 36_525
    declination, equation_min = _declination_and_equation(century)
    solar_min = (wall_ns % _DAY_NS) / _DAY_NS * 1440 + equation_min + 4 * longitude
    hour_angle = radians(solar_min / 4 - 180)
    north = radians(latitude)
    zenith_cosine = sin(north) * sin(declination) + cos(north) * cos(declination) * cos(hour_angle)
    return 90 - degrees(acos(max(-1.0, min(1.0, zenith_cosine))))


def phase(degrees_above: float) -> Phase:
    """Day from sunrise to sunset; twilight while one can read outside (civil twilight); else night."""
    if degrees_above >= HORIZON:
        return "day"
    return "twilight" if degrees_above >= CIVIL_TWILIGHT else "night"


def _declination_and_equation(century: float) -> tuple[float, float]:
    """Declination in radians, and the equation of time in minutes. `century` counts Julian centuries from 2000."""
    mean_longitude = radians((280.46646 + century * (36_000.76983 + century * 0.0003032)) % 360)
    anomaly = radians(357.52911 + century * (35_999.05029 - century * 0.0001537))
    eccentricity = 0.016708634 - century * (0.000042037 + century * 0.0000001267)
    centre = radians(
        sin(anomaly) * (1.914602 - century * (0.004817 + century * 0.000014))
        + sin(2 * anomaly) * (0.019993 - century * 0.000101)
        + sin(3 * anomaly) * 0.000289
    )
    node = radians(125.04 - 1934.136 * century)
    apparent = mean_longitude + centre - radians(0.00569 + 0.00478 * sin(node))
    mean_obliquity = 23 + (26 + (21.448 - century * (46.815 + century * (0.00059 - century * 0.001813))) / 60) / 60
    obliquity = radians(mean_obliquity + 0.00256 * cos(node))
    sine = sin(obliquity) * sin(apparent)
    declination = pi / 2 - acos(max(-1.0, min(1.0, sine)))
    half = tan(obliquity / 2) ** 2
    equation = (
        half * sin(2 * mean_longitude)
        - 2 * eccentricity * sin(anomaly)
        + 4 * eccentricity * half * sin(anomaly) * cos(2 * mean_longitude)
        - 0.5 * half * half * sin(4 * mean_longitude)
        - 1.25 * eccentricity * eccentricity * sin(2 * anomaly)
    )
    return declination, 4 * degrees(equation)
