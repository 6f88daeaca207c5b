"""Run by Debian's Python with QGIS: open the project of a run and tell what is wrong with it.

QT_QPA_PLATFORM=offscreen python3 clients/check_qgis.py OUT [PICTURE]
"""

import os
import sys
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsDateTimeRange,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsProject,
    QgsRasterLayer,
)
from qgis.PyQt.QtCore import QSize, Qt


def main(folder: Path, picture: str = "") -> int:
    """Open the project, and return 1 if anything is wrong."""
    application = QgsApplication([], False)
    application.initQgis()
    project = QgsProject.instance()
    faults = []
    if not project.read(str(folder / "mosart.qgz")):
        faults.append(f"the project cannot be read: {project.error()}")
    layers = list(project.mapLayers().values())
    expected = len(list((folder / "geotiff").glob("*.tif")))
    if len(layers) != expected:
        faults.append(f"{len(layers)} layers, expected {expected}")
    for layer in layers:
        if not layer.isValid():
            faults.append(f"{layer.name()} is not valid: {layer.error().message()}")
            continue
        kind = layer.renderer().type()
        wanted = "paletted" if layer.id().startswith(("mask", "looks")) else "singlebandpseudocolor"
        if kind != wanted:
            faults.append(f"{layer.name()} is drawn by {kind}, expected {wanted}")
        time = layer.temporalProperties()
        spell = time.fixedTemporalRange()
        if not time.isActive() or spell.begin().toUTC().toString("yyyyMMdd") != layer.id()[-8:]:
            faults.append(f"{layer.name()} has no or a wrong time: {spell.begin().toString()}")
    whole = project.timeSettings().temporalRange()
    if not whole.begin().isValid() or not whole.begin() < whole.end():
        faults.append("the project has no temporal range")
    if not project.crs().isValid():
        faults.append("the project has no coordinate system")
    for path in (folder / "geotiff").glob("elevation_change_*.tif"):
        styled = QgsRasterLayer(str(path), path.stem)
        if styled.renderer().type() != "singlebandpseudocolor":
            faults.append(f"{path.name} opened by itself does not take its style")
    changes = [layer for layer in layers if layer.id().startswith("elevation_change_2")]
    if picture and changes:
        first = min(changes, key=lambda layer: layer.id())
        settings = QgsMapSettings()
        settings.setLayers(sorted(changes, key=lambda layer: layer.id()))
        settings.setExtent(first.extent())
        settings.setDestinationCrs(project.crs())
        settings.setOutputSize(QSize(700, 500))
        settings.setIsTemporal(True)
        last = max(changes, key=lambda layer: layer.id()).temporalProperties().fixedTemporalRange()
        settings.setTemporalRange(QgsDateTimeRange(last.begin(), last.end()))
        job = QgsMapRendererParallelJob(settings)
        job.start()
        job.waitForFinished()
        job.renderedImage().save(picture)
    print(f"{len(layers)} layers, {whole.begin().toString(Qt.ISODate)} to {whole.end().toString(Qt.ISODate)}")
    print("\n".join(faults) or "no fault")
    return 1 if faults else 0


if __name__ == "__main__":
    code = main(Path(sys.argv[1]), *sys.argv[2:3])
    sys.stdout.flush()
    os._exit(code)  # QGIS 3.22 dies while it tidies up
