"use strict";
/* Between cells of the map, its coordinates, and degrees. */
const { rows: ROWS, cols: COLS } = META;

const centreX = (col) => META.x0 + col * META.dx;
const centreY = (row) => META.y0 + row * META.dy;
const columnOf = (x) => (x - META.x0) / META.dx + 0.5;
const rowOf = (y) => (y - META.y0) / META.dy + 0.5;

/* Position along the lattice's nodes, as a fraction of a node. */
function along(nodes, value) {
  const n = nodes.length;
  const rising = nodes[n - 1] > nodes[0];
  let i = 0;
  while (i < n - 2 && (rising ? value > nodes[i + 1] : value < nodes[i + 1])) i += 1;
  return i + (value - nodes[i]) / (nodes[i + 1] - nodes[i]);
}

function toLonLat(x, y) {
  const grid = META.lattice;
  if (!grid) return null;
  const u = along(grid.x, x);
  const v = along(grid.y, y);
  const i = Math.min(Math.max(Math.floor(u), 0), grid.x.length - 2);
  const j = Math.min(Math.max(Math.floor(v), 0), grid.y.length - 2);
  const at = (values) => {
    const w = grid.x.length;
    const [a, b] = [values[j * w + i], values[j * w + i + 1]];
    const [c, d] = [values[(j + 1) * w + i], values[(j + 1) * w + i + 1]];
    return (a + (b - a) * (u - i)) * (1 - (v - j)) + (c + (d - c) * (u - i)) * (v - j);
  };
  return [at(grid.lon), at(grid.lat)];
}

/* The other way by Newton's method. */
function fromLonLat(lon, lat) {
  const grid = META.lattice;
  if (!grid) return null;
  const [xs, ys] = [grid.x, grid.y];
  let x = 0.5 * (xs[0] + xs[xs.length - 1]);
  let y = 0.5 * (ys[0] + ys[ys.length - 1]);
  const hx = (xs[xs.length - 1] - xs[0]) / xs.length;
  const hy = (ys[ys.length - 1] - ys[0]) / ys.length;
  for (let step = 0; step < 20; step += 1) {
    const here = toLonLat(x, y);
    const right = toLonLat(x + 0.01 * hx, y);
    const up = toLonLat(x, y + 0.01 * hy);
    const wanted = [lon + 360 * Math.round((here[0] - lon) / 360) - here[0], lat - here[1]];
    const [a, b] = [(right[0] - here[0]) / (0.01 * hx), (up[0] - here[0]) / (0.01 * hy)];
    const [c, d] = [(right[1] - here[1]) / (0.01 * hx), (up[1] - here[1]) / (0.01 * hy)];
    const det = a * d - b * c;
    const dx = (wanted[0] * d - wanted[1] * b) / det;
    const dy = (a * wanted[1] - c * wanted[0]) / det;
    x += dx;
    y += dy;
    if (Math.abs(dx) < 1e-6 * Math.abs(META.dx) && Math.abs(dy) < 1e-6 * Math.abs(META.dy)) break;
  }
  return [x, y];
}

function placeName(x, y) {
  const place = toLonLat(x, y);
  const number = (v) => (META.geographic ? v.toFixed(6) : v.toFixed(Math.abs(META.dx) < 1 ? 2 : 1));
  const local = META.kind === "radar" ? `range ${Math.round(x)}, azimuth ${Math.round(y)}` : `x ${number(x)}, y ${number(y)}`;
  if (!place) return local;
  const lon = ((((place[0] + 180) % 360) + 360) % 360) - 180;
  const degrees = `${Math.abs(place[1]).toFixed(5)}° ${place[1] < 0 ? "S" : "N"}, ${Math.abs(lon).toFixed(5)}° ${lon < 0 ? "W" : "E"}`;
  return META.geographic ? degrees : `${degrees} (${local})`;
}
