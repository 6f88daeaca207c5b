"use strict";
/* Volumes of polygons: each cell counts with the share of it that lies inside. The standard error of a sum
   adds the covariances of its cells (as volumes.csv does): they are taken as separable along the two axes
   of the radar grid, so the cells are gathered on a grid that is turned that way. */
const LINES = 4;
const BLOCKS = 64;

/* Share of each cell inside a polygon (lists of x and y), as [index, share] pairs. */
function cellsInside(polygon) {
  const px = polygon.map((p) => columnOf(p[0]));
  const py = polygon.map((p) => rowOf(p[1]));
  const found = new Map();
  const first = Math.max(0, Math.floor(Math.min(...py)));
  const last = Math.min(ROWS - 1, Math.floor(Math.max(...py)));
  for (let row = first; row <= last; row += 1) {
    for (let line = 0; line < LINES; line += 1) {
      const y = row + (line + 0.5) / LINES;
      const crossings = [];
      for (let i = 0; i < px.length; i += 1) {
        const j = (i + 1) % px.length;
        if (py[i] <= y !== py[j] <= y) crossings.push(px[i] + ((y - py[i]) / (py[j] - py[i])) * (px[j] - px[i]));
      }
      crossings.sort((a, b) => a - b);
      for (let k = 0; k + 1 < crossings.length; k += 2) {
        const [from, to] = [Math.max(0, crossings[k]), Math.min(COLS, crossings[k + 1])];
        for (let col = Math.floor(from); col < to; col += 1) {
          const width = Math.min(to, col + 1) - Math.max(from, col);
          const index = row * COLS + col;
          if (width > 0) found.set(index, (found.get(index) || 0) + width / LINES);
        }
      }
    }
  }
  return [...found];
}

function correlationAt(axis, lag) {
  const { lags, rho } = axis;
  if (lag >= lags[lags.length - 1]) return rho[rho.length - 1];
  let i = 0;
  while (lags[i + 1] < lag) i += 1;
  return rho[i] + ((rho[i + 1] - rho[i]) * (lag - lags[i])) / (lags[i + 1] - lags[i]);
}

/* Standard error of the sum of weights times errors; parts: [east, north, weight times sigma] in metres. */
function sumError(parts, model) {
  if (!model || parts.length === 0) return NaN;
  if (model.pixels === 0) return Math.abs(parts.reduce((sum, p) => sum + p[2], 0));
  const turned = [model.first, model.second].map((axis) => parts.map((p) => p[0] * axis.east + p[1] * axis.north));
  const low = turned.map((v) => v.reduce((a, b) => Math.min(a, b), Infinity));
  const high = turned.map((v) => v.reduce((a, b) => Math.max(a, b), -Infinity));
  const pixel = [model.first, model.second].map((a) => (a.lags.length > 1 ? a.lags[1] : 1));
  /* blocks of whole pixels and several cells, so that each holds about as many */
  const side = Math.max(...pixel, Math.abs(META.dx * META.metres[0]), Math.abs(META.dy * META.metres[1]));
  const pixels = pixel.map((p, k) => Math.ceil(Math.max((3 * side) / p, (high[k] - low[k] + side) / p / BLOCKS)));
  const width = pixel.map((p, k) => p * pixels[k]);
  const size = low.map((v, k) => Math.floor((high[k] - v) / width[k]) + 1);
  const blocks = new Float64Array(size[0] * size[1]);
  parts.forEach((part, n) => {
    const at = [0, 1].map((k) => Math.min(size[k] - 1, Math.floor((turned[k][n] - low[k]) / width[k])));
    blocks[at[0] * size[1] + at[1]] += part[2];
  });
  const kernels = [model.first, model.second].map((axis, k) => {
    const between = new Float64Array(size[k]);
    for (let lag = 0; lag < size[k]; lag += 1) {
      /* mean over the pairs of pixels of two blocks */
      const inner = pixels[k];
      let sum = 0;
      for (let o = -(inner - 1); o < inner; o += 1) {
        sum += ((inner - Math.abs(o)) / (inner * inner)) * correlationAt(axis, Math.abs(lag * inner + o) * pixel[k]);
      }
      between[lag] = sum;
    }
    return between;
  });
  let variance = 0;
  const half = new Float64Array(size[1]);
  for (let i = 0; i < size[0]; i += 1) {
    half.fill(0);
    for (let j = 0; j < size[0]; j += 1) {
      const c = kernels[0][Math.abs(i - j)];
      if (c !== 0) for (let k = 0; k < size[1]; k += 1) half[k] += c * blocks[j * size[1] + k];
    }
    for (let k = 0; k < size[1]; k += 1) {
      let sum = 0;
      for (let l = 0; l < size[1]; l += 1) sum += kernels[1][Math.abs(k - l)] * half[l];
      variance += blocks[i * size[1] + k] * sum;
    }
  }
  return Math.sqrt(model.variance * Math.max(variance, 0));
}

/* Gain, loss and net of a polygon on every date, with standard errors. */
async function polygonVolumes(polygon) {
  const inside = cellsInside(polygon);
  const result = [];
  const total = inside.reduce((sum, [index, part]) => sum + part * META.cellArea[Math.floor(index / COLS)], 0);
  for (let date = 0; date < META.dates.length; date += 1) {
    const change = await slice("change", date);
    const share = META.layers.share ? await slice("share", date) : null;
    const std = META.layers.std ? await slice("std", date) : null;
    const sums = { gained: 0, lost: 0 };
    const parts = { gained: [], lost: [], net: [] };
    let seen = 0;
    for (const [index, part] of inside) {
      const value = layerValue("change", change[index]);
      if (!Number.isFinite(value)) continue;
      const row = Math.floor(index / COLS);
      const area = part * META.cellArea[row] * (share ? share[index] / 255 : 1);
      const sigma = std ? layerValue("std", std[index]) : META.sigma[date];
      const side = value > 0 ? "gained" : "lost";
      const unit = META.geographic ? META.metres : [1, 1];
      const piece = [(index % COLS) * META.dx * unit[0], row * META.dy * unit[1], area * sigma];
      seen += area;
      sums[side] += area * value;
      parts[side].push(piece);
      parts.net.push(piece);
    }
    const model = META.correlations && META.correlations[date];
    const known = parts.net.length > 0;
    result.push({
      date: META.dates[date],
      gained_m3: known ? sums.gained : NaN,
      gained_std_m3: known ? sumError(parts.gained, model) : NaN,
      lost_m3: known ? sums.lost : NaN,
      lost_std_m3: known ? sumError(parts.lost, model) : NaN,
      net_m3: known ? sums.gained + sums.lost : NaN,
      net_std_m3: sumError(parts.net, model),
      area_m2: total,
      unseen_share: total > 0 ? Math.max(0, 1 - seen / total) : NaN,
    });
  }
  return result;
}
