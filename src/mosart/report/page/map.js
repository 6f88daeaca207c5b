"use strict";
/* The map: colours of a layer over a background, drawn as one picture on the plotting library's axes. */
const MAP = document.getElementById("map");
const VIEW = { layer: "change", date: META.newest, opacity: 1, base: META.layers.relief ? "relief" : "none" };
const NAMES = {
  change: "elevation change (m)",
  std: "standard error (m)",
  amplitude: "amplitude, measured (dB)",
  modelled: "amplitude, modelled (dB)",
  mask: "reasons not to use a pixel",
  looks: "looks that saw the ground",
};

function colourTable(name) {
  const hex = META.colours[name];
  return Array.from({ length: 256 }, (_, i) => [0, 2, 4].map((k) => parseInt(hex.substr(6 * i + k, 2), 16)));
}
const TABLES = { change: colourTable("change"), std: colourTable("std"), grey: colourTable("grey") };
const REASON = META.reasons.map(([flag, colour, name]) => ({
  flag,
  name,
  rgb: [1, 3, 5].map((k) => parseInt(colour.substr(k, 2), 16)),
}));
/* of several reasons the one that says most */
const ORDER = ["water", "shadow", "layover", "unresolved", "no data"];

function reasonOf(bits) {
  for (const name of ORDER) {
    const reason = REASON.find((r) => r.name === name);
    if (reason && bits & reason.flag) return reason;
  }
  return REASON.find((r) => r.name === "no data");
}
const REASON_OF = Array.from({ length: 256 }, (_, bits) => reasonOf(bits));
const HIDING = REASON.reduce((all, r) => all | r.flag, 0);

/* Which looks saw a cell: one colour for each alone, and one for several. */
const LOOK_COLOURS = [[0, 114, 178], [213, 94, 0], [204, 121, 167], [230, 159, 0]];
const SEVERAL = [0, 158, 115];

function lookColour(bits) {
  const seen = META.looks.flatMap(([bit], i) => (bits & bit ? [i] : []));
  return seen.length > 1 ? SEVERAL : seen.length ? LOOK_COLOURS[seen[0] % LOOK_COLOURS.length] : null;
}

function looksKey() {
  const key = document.getElementById("looks-key");
  key.hidden = VIEW.layer !== "looks";
  const entries = [...META.looks.map(([bit, name]) => [lookColour(bit), `${name} alone`]), [SEVERAL, META.looks.length > 2 ? "two or more" : "both"]];
  key.replaceChildren(...entries.flatMap(([rgb, text]) => {
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = `rgb(${rgb})`;
    return [swatch, document.createTextNode(`${text} `)];
  }));
}

/* Colours of one layer on one date, red green blue alpha a cell; used for the map and the small pictures. */
async function colours(layer, date, opacity, base) {
  const numbers = await slice(layer, date);
  const mask = await slice("mask", date);
  const ground = base === "none" || !META.layers[base] ? null : await slice(base, date);
  const pixels = new Uint8ClampedArray(4 * ROWS * COLS);
  const scale = {
    change: (v) => TABLES.change[Math.round(Math.min(1, Math.max(0, 0.5 + (0.5 * v) / META.limit)) * 255)],
    std: (v) => TABLES.std[Math.round(Math.min(1, Math.max(0, v / META.stdLimit)) * 255)],
  }[layer];
  for (let i = 0; i < numbers.length; i += 1) {
    let rgb;
    if (layer === "mask") {
      rgb = numbers[i] & HIDING ? REASON_OF[numbers[i]].rgb : numbers[i] & 16 ? [230, 159, 0] : [255, 255, 255];
    } else if (scale) {
      const v = layerValue(layer, numbers[i]);
      rgb = Number.isFinite(v) ? scale(v) : REASON_OF[mask[i]].rgb;
    } else {
      rgb = (layer === "looks" ? lookColour(numbers[i]) : numbers[i] && TABLES.grey[numbers[i]]) || REASON_OF[mask[i]].rgb;
    }
    const off = mask[i] === 8 && !(ground && ground[i]);
    const shade = ground && ground[i] ? ground[i] : 255;
    const part = off ? 1 : opacity;
    for (let k = 0; k < 3; k += 1) pixels[4 * i + k] = part * rgb[k] + (1 - part) * shade;
    pixels[4 * i + 3] = 255;
  }
  return pixels;
}

/* The library lays a picture's first row at the foot of an axis that rises: maps are handed over upside down. */
const UPSIDE_DOWN = META.dy < 0;
const SOURCE = UPSIDE_DOWN ? { y0: META.y0 + (ROWS - 1) * META.dy, dy: -META.dy } : { y0: META.y0, dy: META.dy };

function source(canvas) {
  if (!UPSIDE_DOWN) return canvas.toDataURL();
  const turned = document.createElement("canvas");
  turned.width = COLS;
  turned.height = ROWS;
  const context = turned.getContext("2d");
  context.scale(1, -1);
  context.drawImage(canvas, 0, -ROWS);
  return turned.toDataURL();
}

async function picture(layer, date, opacity, base) {
  const canvas = document.createElement("canvas");
  canvas.width = COLS;
  canvas.height = ROWS;
  const image = new ImageData(await colours(layer, date, opacity, base), COLS, ROWS);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

function axis(title, range, extra) {
  return { title: { text: title, font: { size: 12 } }, range, zeroline: false, showgrid: false, tickfont: { size: 11 }, exponentformat: "none", nticks: 5, ...extra };
}

function mapHeight(width) {
  const shape = (Math.abs(ROWS * META.dy) * META.stretch) / Math.abs(COLS * META.dx);
  return Math.round(Math.min(Math.max(width * shape + 60, 260), Math.max(320, Math.min(820, 0.85 * window.innerHeight))));
}

async function startMap() {
  const traces = [{ type: "image", source: source(await picture(VIEW.layer, VIEW.date, 1, VIEW.base)), x0: META.x0, dx: META.dx, ...SOURCE, hoverinfo: "skip" }];
  for (const place of META.outlines) {
    for (const ring of place.rings) {
      traces.push({ type: "scatter", x: ring.x, y: ring.y, mode: place.point ? (place.name.startsWith("point ") ? "markers" : "markers+text") : "lines", text: place.point ? [place.name] : undefined, textposition: "top right", textfont: { size: 11 }, line: { color: "#000", width: 2 }, marker: { color: "#000", symbol: "diamond-open", size: 9, line: { width: 2 } }, hoverinfo: "skip", showlegend: false });
    }
    if (!place.point) {
      const ring = place.rings[0];
      const top = ring.y.indexOf(META.dy < 0 ? Math.max(...ring.y) : Math.min(...ring.y));
      traces.push({ type: "scatter", x: [ring.x[top]], y: [ring.y[top]], mode: "text", text: [place.name], textposition: "top center", textfont: { size: 12, color: "#000" }, hoverinfo: "skip", showlegend: false });
    }
  }
  traces.push({ type: "scatter", x: [null], y: [null], mode: "markers", marker: { symbol: "cross-thin", size: 16, line: { color: "#c2185b", width: 3 } }, hoverinfo: "skip", showlegend: false, name: "selection" });
  const width = MAP.clientWidth;
  const yEdges = [META.y0 - 0.5 * META.dy, META.y0 + (ROWS - 0.5) * META.dy];
  const layout = {
    width,
    height: mapHeight(width),
    margin: { l: 72, r: 10, t: 10, b: 46 },
    xaxis: axis(META.labels[0], [META.x0 - 0.5 * META.dx, META.x0 + (COLS - 0.5) * META.dx], { constrain: "domain" }),
    yaxis: axis(META.labels[1], [yEdges[1], yEdges[0]], { scaleanchor: "x", scaleratio: META.stretch, constrain: "domain" }),
    dragmode: "pan",
    hovermode: "closest",
    showlegend: false,
    plot_bgcolor: "#ececec",
    newshape: { line: { color: "#c2185b", width: 2 }, fillcolor: "rgba(194,24,91,0.12)" },
    uirevision: "map",
  };
  await Plotly.newPlot(MAP, traces, layout, { displaylogo: false, scrollZoom: false, responsive: false, displayModeBar: true, modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]] });
  MAP.on("plotly_relayout", placeFurniture);
  placeFurniture();
}

let drawing = Promise.resolve();
let wanted = 0;

/* Draw what VIEW says; of several calls in a row the last one counts. */
function showMap() {
  const mine = (wanted += 1);
  drawing = drawing.then(async () => {
    if (mine !== wanted) return;
    const canvas = await picture(VIEW.layer, VIEW.date, VIEW.opacity, VIEW.base);
    await Plotly.restyle(MAP, { source: [source(canvas)] }, [0]);
    MAP.dataset.shown = `${VIEW.layer} ${META.dates[VIEW.date]}`;
    legend();
  });
  return drawing;
}

/* Colour bar and meanings, as plain HTML: they wrap on a phone and print. */
function legend() {
  const bar = document.getElementById("bar");
  const box = document.getElementById("scale");
  const name = VIEW.layer;
  document.getElementById("scale-name").textContent = NAMES[name];
  looksKey();
  const table = name === "mask" || name === "looks" ? null : TABLES[name === "change" ? "change" : name === "amplitude" || name === "modelled" ? "grey" : "std"];
  box.hidden = !table;
  if (table) {
    const context = bar.getContext("2d");
    table.forEach((rgb, i) => {
      context.fillStyle = `rgb(${rgb})`;
      context.fillRect(i, 0, 1, 1);
    });
    const layer = META.layers[name];
    const ends = { change: [-META.limit, 0, META.limit], std: [0, META.stdLimit / 2, META.stdLimit] }[name] || [1, 128, 255].map((n) => layer.offset + n * layer.step);
    const words = name === "change" ? ["sank ", "", "rose "] : ["", "", ""];
    ["low", "middle", "high"].forEach((id, i) => {
      const text = Number(ends[i].toPrecision(3));
      document.getElementById(`scale-${id}`).textContent = `${words[i]}${name === "change" && text > 0 ? "+" : ""}${text}`;
    });
  }
}

/* Scale bar, north and look direction, laid over the map's corner. */
function placeFurniture() {
  const x = MAP._fullLayout.xaxis;
  const unit = META.metres[0];
  const corner = document.getElementById("furniture").style;
  corner.left = `${x._offset + 8}px`;
  corner.top = `${MAP._fullLayout.yaxis._offset + 6}px`;
  const bar = document.getElementById("scalebar");
  bar.hidden = !(unit > 0);
  if (unit > 0) {
    const perPixel = (Math.abs(x.range[1] - x.range[0]) * unit) / x._length;
    const power = 10 ** Math.floor(Math.log10(perPixel * 110));
    const length = [5, 2, 1].map((n) => n * power).find((n) => n <= perPixel * 110);
    bar.style.width = `${length / perPixel}px`;
    bar.textContent = length >= 1000 ? `${length / 1000} km` : `${length} m`;
  }
  for (const [id, bearing] of [["north", META.north], ["look", META.look]]) {
    const arrow = document.getElementById(id);
    arrow.toggleAttribute("hidden", bearing === null);
    if (bearing !== null) arrow.querySelector("g").setAttribute("transform", `rotate(${bearing} 20 20)`);
  }
}

function resizeMap(width, most = Infinity) {
  Plotly.relayout(MAP, { width, height: Math.min(most, mapHeight(width)) });
}
