"use strict";
/* Time series of a point or an area, and volumes of a polygon. */
const RED = "#b2182b";
const BLUE = "#2166ac";
const BLACK = "#222";

function chart(id, traces, title, unit) {
  const box = document.getElementById(id);
  const from = META.dates.length > 1 ? undefined : [`${META.dates[0]} 00:00`, `${META.dates[0]} 00:00`];
  const layout = {
    width: box.clientWidth || 600,
    height: 320,
    margin: { l: 66, r: 14, t: 34, b: 64 },
    title: { text: title, font: { size: 13 }, x: 0.02, xanchor: "left" },
    xaxis: { type: "date", tickfont: { size: 11 }, gridcolor: "#e3e3e3", tickvals: META.dates.length <= 12 ? META.dates : undefined, tickformat: "%Y-%m-%d", tickangle: -35, range: from && [new Date(Date.parse(META.dates[0]) - 8.64e8), new Date(Date.parse(META.dates[0]) + 8.64e8)] },
    yaxis: { title: { text: unit, font: { size: 12 } }, zeroline: true, zerolinecolor: "#888", gridcolor: "#e3e3e3", tickfont: { size: 11 } },
    showlegend: traces.length > 1,
    legend: { orientation: "h", y: -0.35 },
    hovermode: "closest",
    ...activity(),
  };
  Plotly.react(box, traces, layout, { displaylogo: false, displayModeBar: false, responsive: false });
}

/* Periods of activity behind a curve; one without an end goes on to the last date. */
function activity() {
  const last = META.dates[META.dates.length - 1];
  const spells = (META.activity || []).map(([from, to, label]) => [from, to || last, label]).filter(([from, to]) => to >= META.dates[0] && from <= last);
  const edges = spells.map(([from, to, label]) => [from < META.dates[0] ? META.dates[0] : from, to > last ? last : to, label]);
  return {
    shapes: edges.map(([from, to]) => ({ type: "rect", xref: "x", yref: "paper", x0: from, x1: to, y0: 0, y1: 1, fillcolor: "#f8e8c4", line: { width: 0 }, layer: "below" })),
    annotations: edges.filter(([, , label]) => label).map(([from, , label]) => ({ x: from, y: 1, xref: "x", yref: "paper", text: escaped(label), showarrow: false, xanchor: "left", yanchor: "top", font: { size: 10, color: "#6b4e00" } })),
  };
}

/* The plotting library reads some tags in its texts. */
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

function line(name, dates, values, errors, colour) {
  return { type: "scatter", mode: "lines+markers", name, x: dates, y: values.map(finiteOrNull), error_y: { type: "data", array: errors.map(finiteOrNull), visible: true, color: colour, thickness: 1.5, width: 4 }, line: { color: colour, width: 1.5 }, marker: { color: colour, size: 7 }, connectgaps: false };
}

const finiteOrNull = (v) => (Number.isFinite(v) ? v : null);

const SERIES = { name: "", rows: [] };
const VOLUMES = { name: "", rows: [] };

function drawSeries(name, rows) {
  Object.assign(SERIES, { name, rows });
  chart("series", [line("change", rows.map((r) => r.date), rows.map((r) => r.change), rows.map((r) => r.std), BLACK)], name, "elevation change (m)");
  const body = document.querySelector("#series-table tbody");
  body.replaceChildren(...rows.map((r) => tableRow([r.date, metres(r.change), Number.isFinite(r.std) ? `± ${r.std.toFixed(2)} m` : "", r.flags])));
  document.getElementById("series-csv").disabled = rows.length === 0;
}

function drawVolumes(name, rows) {
  Object.assign(VOLUMES, { name, rows });
  const dates = rows.map((r) => r.date);
  const of = (key, label, colour) => line(label, dates, rows.map((r) => r[`${key}_m3`]), rows.map((r) => r[`${key}_std_m3`]), colour);
  chart("volume", [of("net", "net", BLACK), of("gained", "gained", RED), of("lost", "lost", BLUE)], name, "volume (m³)");
  const body = document.querySelector("#volume-table tbody");
  const cell = (r, key) => `${whole(r[`${key}_m3`])} ± ${whole(r[`${key}_std_m3`])}`;
  body.replaceChildren(...rows.map((r) => tableRow([r.date, cell(r, "net"), cell(r, "gained"), cell(r, "lost"), `${(100 * r.unseen_share).toFixed(1)} %`])));
  document.getElementById("volume-csv").disabled = rows.length === 0;
}

function whole(value) {
  return value === null || !Number.isFinite(value) ? "unknown" : Math.round(value).toLocaleString("en");
}

function tableRow(cells) {
  const row = document.createElement("tr");
  row.append(
    ...cells.map((text, i) => {
      const cell = document.createElement(i === 0 ? "th" : "td");
      if (i === 0) cell.scope = "row";
      cell.textContent = text;
      return cell;
    }),
  );
  return row;
}

function flagNames(bits) {
  return META.flags.filter(([flag]) => bits & flag).map(([, name]) => name).join(" ");
}

/* What one cell of the map showed on every date. */
async function cellSeries(row, col) {
  const index = row * COLS + col;
  const rows = [];
  for (let date = 0; date < META.dates.length; date += 1) {
    const value = layerValue("change", (await slice("change", date))[index]);
    const own = META.layers.std ? layerValue("std", (await slice("std", date))[index]) : META.sigma[date];
    const std = Number.isFinite(value) && own !== null ? own : NaN;
    rows.push({ date: META.dates[date], change: value, std, flags: flagNames((await slice("mask", date))[index]) });
  }
  return rows;
}
