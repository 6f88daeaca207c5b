"""How wrong the maps of a method are, as measured on scenes whose truth is known."""

from __future__ import annotations

#: The ground counts as changed where the change is above this share of its largest.
ZONE = 0.1

#: Measured on simulated craters that collapse (docs/method.md): three images before against three after,
#: unit weights, non-local means; the share of the change that the error is where the ground changed, the
#: share of the volume that is found, the error in metres where nothing changed. Extremes of twelve scenes.
MEASURED = {
    "rowwise": ((0.46, 0.73), (0.29, 0.71), (2.1, 4.6)),
    "rowwise-intensity": ((0.40, 0.90), (0.34, 0.84), (2.7, 5.5)),
}

#: The same of ``synthesis``: extremes over the classes of the table in docs/accuracy.md whose texture is
#: kept, which the tests hold against these numbers: the error over the change (rms) where the ground changed,
#: the error in metres where it did not, and the share of errors inside nominal 90 % bars where it did.
SYNTHESIS = ((0.03, 0.58), (0.1, 0.9), (0.61, 1.0))

#: What is known of the methods that were measured on fewer scenes.
OTHERS = {
    "regularised": "a regularised map has no stripes and less change than there is: wrong by about two "
    "thirds of the change on a simulated crater; the standard error describes still ground alone",
}
#: And of several looks, joined (docs/two_looks.md).
JOINT = (
    "on simulated ground that both looks see, 10 to 200 m higher or lower and of new rock or old, joint maps "
    "were wrong by 2% to 43% of the change, and their 90% bars held 47% to 100% of the errors "
    "(docs/two_looks.md); new rock that one look alone sees is withheld"
)


def expected_error(method: str, *, looks: int = 1) -> str:
    """Say plainly what a method's error is.

    Parameters
    ----------
    method : str
        Name of an inversion method.
    looks : int
        How many looks are joined.

    Returns
    -------
    str
        One paragraph.
    """
    if looks > 1:
        return JOINT
    if method == "synthesis":
        zone, still, bars = SYNTHESIS
        return (
            f"on simulated ground that kept its texture, synthesis was wrong by {zone[0]:.0%} to "
            f"{zone[1]:.0%} of the change, by {still[0]:.1f} to {still[1]:.1f} m where nothing changed, "
            f"and its 90% bars held {bars[0]:.0%} to {bars[1]:.0%} of the errors (docs/accuracy.md); new "
            "rock is withheld, changes only a few nodes wide are shrunk, and where hardly any ground is "
            "still the level is not known"
        )
    if method not in MEASURED:
        return OTHERS[method]
    zone, volume, still = MEASURED[method]
    return (
        f"a row-wise map is wrong by {zone[0]:.0%} to {zone[1]:.0%} of the change where the ground changed "
        f"(rms), finds {volume[0]:.0%} to {volume[1]:.0%} of its volume, and is wrong by {still[0]:.0f} to "
        f"{still[1]:.0f} m where it did not, as measured on simulated craters (docs/method.md); the standard "
        "error describes still ground alone"
    )
