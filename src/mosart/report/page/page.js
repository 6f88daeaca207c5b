"use strict";
/* What the reader does: choose, play, click, draw, type, download, print. */
const $ = (id) => document.getElementById(id);
const say = (text) => { $("said").textContent = text; };
const PICK = { row: Math.floor(ROWS / 2), col: Math.floor(COLS / 2) };
let playing = null;

function setDate(date) {
  VIEW.date = Math.min(Math.max(date, 0), META.dates.length - 1);
  $("date").value = VIEW.date;
  const sigma = META.sigma && META.sigma[VIEW.date];
  const note = META.notes[VIEW.date];
  $("date-name").textContent = `${META.dates[VIEW.date]}${sigma ? `   σ ${sigma.toFixed(2)} m` : ""}${note ? `   (${note})` : ""}`;
  $("date").setAttribute("aria-valuetext", META.dates[VIEW.date]);
  document.querySelectorAll("#strip button").forEach((b, i) => b.setAttribute("aria-pressed", String(i === VIEW.date)));
  return showMap();
}

function play(on) {
  clearInterval(playing);
  playing = on ? setInterval(() => setDate((VIEW.date + 1) % META.dates.length), 900) : null;
  $("play").textContent = on ? "Pause" : "Play";
  $("play").setAttribute("aria-pressed", String(on));
}

async function pick(row, col) {
  if (row < 0 || col < 0 || row >= ROWS || col >= COLS) return;
  Object.assign(PICK, { row, col });
  mark(row, col);
  const rows = await cellSeries(row, col);
  const [x, y] = [centreX(col), centreY(row)];
  const now = rows[VIEW.date];
  drawSeries(`Point ${placeName(x, y)}`, rows);
  const value = Number.isFinite(now.change) ? `${metres(now.change)} ± ${now.std.toFixed(2)} m` : `no value (${now.flags || "no data"})`;
  $("picked").textContent = `${now.date}: ${value} at ${placeName(x, y)}`;
  $("area").value = "";
}

function mark(row, col) {
  const [x, y] = row === null ? [null, null] : [centreX(col), centreY(row)];
  return Plotly.restyle(MAP, { x: [[x]], y: [[y]] }, [MAP.data.length - 1]);
}

/* A click is a press and a release in one place; the library covers the page between the two. */
function clicks() {
  let from = null;
  MAP.addEventListener("pointerdown", (event) => {
    from = event.button === 0 && event.target.closest(".nsewdrag") ? [event.clientX, event.clientY] : null;
  }, true);
  window.addEventListener("pointerup", (event) => {
    const moved = from ? Math.hypot(event.clientX - from[0], event.clientY - from[1]) : Infinity;
    from = null;
    if (moved > 4 || (MAP.layout.dragmode !== "pan" && MAP.layout.dragmode !== "zoom")) return;
    const box = MAP.getBoundingClientRect();
    const { xaxis, yaxis } = MAP._fullLayout;
    const x = xaxis.p2d(event.clientX - box.left - xaxis._offset);
    const y = yaxis.p2d(event.clientY - box.top - yaxis._offset);
    pick(Math.floor(rowOf(y)), Math.floor(columnOf(x)));
  }, true);
}

async function volumesOf(polygon, name) {
  if (!META.cellArea || META.quantity !== "elevation_change") {
    say("There are no volumes without a map.");
    return;
  }
  const rows = await polygonVolumes(polygon);
  drawVolumes(name, rows);
  const now = rows[VIEW.date];
  say(`${name}: net ${cubic(now.net_m3)} ± ${cubic(now.net_std_m3)} on ${now.date}, ${Math.round(now.area_m2).toLocaleString("en")} m², ${(100 * now.unseen_share).toFixed(1)} % of it not seen`);
}

/* A path as the plotting library writes it: M x,y L x,y … Z. */
function readPath(path) {
  return path.replace(/Z$/i, "").slice(1).split(/L/i).map((pair) => pair.split(",").map(Number));
}

let ours = false; /* shapes that this script sets are not drawn by the reader */

async function setShapes(shapes) {
  ours = true;
  await Plotly.relayout(MAP, { shapes });
  ours = false;
}

function drawn(event) {
  if (ours) return;
  const shapes = event.shapes || MAP.layout.shapes;
  if (!event.shapes && !Object.keys(event).some((key) => key.startsWith("shapes["))) return;
  if (!shapes || shapes.length === 0) return;
  const shape = shapes[shapes.length - 1];
  const polygon = shape.type === "rect" ? [[shape.x0, shape.y0], [shape.x1, shape.y0], [shape.x1, shape.y1], [shape.x0, shape.y1]] : readPath(shape.path);
  if (shapes.length > 1) setShapes([shape]);
  setDraw("");
  volumesOf(polygon, "Drawn polygon");
}

function setDraw(mode) {
  Plotly.relayout(MAP, { dragmode: mode || "pan" });
  for (const id of ["draw", "box"]) $(id).setAttribute("aria-pressed", String(mode !== "" && $(id).value === mode));
}

function typed(event) {
  event.preventDefault();
  const numbers = $("corners").value.split(/[\s,;]+/).filter(Boolean).map(Number);
  if (numbers.length < 6 || numbers.length % 2 || numbers.some((n) => !Number.isFinite(n))) {
    say("Give three corners at least, each as longitude, latitude.");
    return;
  }
  const corners = [];
  for (let i = 0; i < numbers.length; i += 2) corners.push(fromLonLat(numbers[i], numbers[i + 1]));
  const path = `M${corners.map((c) => c.join(",")).join("L")}Z`;
  setShapes([{ type: "path", path, line: { color: "#c2185b", width: 2 }, fillcolor: "rgba(194,24,91,0.12)" }]);
  volumesOf(corners, "Typed polygon");
}

/* The numbers that the run itself wrote for an area. */
function showArea(name) {
  const rows = (META.series || []).filter((r) => r.name === name);
  if (rows.length === 0) return;
  const key = `${META.quantity}_m`;
  drawSeries(name, rows.map((r) => ({ date: r.date, change: r[key] ?? NaN, std: r[`${META.quantity}_std_m`] ?? NaN, flags: r.flags || "" })));
  const volumes = (META.volumes || []).filter((r) => r.name === name);
  if (volumes.length && !document.querySelector("section.volumes").hidden) drawVolumes(`${name} (as in volumes.csv)`, volumes);
}

async function strip() {
  const box = $("strip");
  for (let date = 0; date < META.dates.length; date += 1) {
    const button = document.createElement("button");
    button.type = "button";
    const small = document.createElement("canvas");
    const shrink = Math.min(1, 150 / Math.max(ROWS, COLS));
    small.width = Math.max(1, Math.round(COLS * shrink));
    small.height = Math.max(1, Math.round(ROWS * shrink));
    small.getContext("2d").drawImage(await picture("change", date, 1, "none"), 0, 0, small.width, small.height);
    const text = document.createElement("span");
    text.textContent = META.dates[date];
    button.append(small, text);
    button.setAttribute("aria-label", `Show ${META.dates[date]}`);
    button.setAttribute("aria-pressed", String(date === VIEW.date));
    button.addEventListener("click", () => { play(false); setDate(date); });
    box.append(button);
  }
}

function keys(event) {
  const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
  if (move) {
    const far = event.shiftKey ? 20 : 1;
    PICK.row = Math.min(Math.max(PICK.row + far * move[0] * (META.dy * (META.kind === "map" ? -1 : 1) > 0 ? 1 : -1), 0), ROWS - 1);
    PICK.col = Math.min(Math.max(PICK.col + far * move[1], 0), COLS - 1);
    mark(PICK.row, PICK.col);
    say(placeName(centreX(PICK.col), centreY(PICK.row)));
  } else if (event.key === "Enter") pick(PICK.row, PICK.col);
  else if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 0.7 : 1 / 0.7);
  else if (event.key === "0") Plotly.relayout(MAP, { "xaxis.autorange": false, "xaxis.range": [META.x0 - 0.5 * META.dx, META.x0 + (COLS - 0.5) * META.dx], "yaxis.range": [META.y0 + (ROWS - 0.5) * META.dy, META.y0 - 0.5 * META.dy] });
  else return;
  event.preventDefault();
}

function zoom(factor) {
  const change = {};
  for (const [axis, centre] of [["xaxis", centreX(PICK.col)], ["yaxis", centreY(PICK.row)]]) {
    change[`${axis}.range`] = MAP._fullLayout[axis].range.map((v) => centre + (v - centre) * factor);
  }
  Plotly.relayout(MAP, change);
}

function resize(width, most) {
  resizeMap(width || MAP.parentElement.clientWidth, most);
  for (const id of ["series", "volume"]) if ($(id).data) Plotly.relayout($(id), { width: width || $(id).parentElement.clientWidth });
}

function downloads() {
  $("series-csv").addEventListener("click", () => download("series.csv", ["name", "date", `${META.quantity}_m`, `${META.quantity}_std_m`, "flags"], SERIES.rows.map((r) => [SERIES.name, r.date, r.change, r.std, r.flags])));
  const columns = ["gained_m3", "gained_std_m3", "lost_m3", "lost_std_m3", "net_m3", "net_std_m3", "area_m2", "unseen_share"];
  $("volume-csv").addEventListener("click", () => download("volume.csv", ["name", "date", ...columns], VOLUMES.rows.map((r) => [VOLUMES.name, r.date, ...columns.map((c) => r[c])])));
  $("map-csv").addEventListener("click", async () => {
    const numbers = await slice(VIEW.layer, VIEW.date);
    const rows = [];
    const [x, y] = [MAP._fullLayout.xaxis.range, MAP._fullLayout.yaxis.range].map((r) => [Math.min(...r), Math.max(...r)]);
    for (let i = 0; i < numbers.length; i += 1) {
      const [cx, cy] = [centreX(i % COLS), centreY(Math.floor(i / COLS))];
      if (cx < x[0] || cx > x[1] || cy < y[0] || cy > y[1]) continue;
      const value = META.layers[VIEW.layer].kind === "uint8" && (VIEW.layer === "mask" || VIEW.layer === "looks") ? numbers[i] : layerValue(VIEW.layer, numbers[i]);
      if (Number.isFinite(value)) rows.push([cx, cy, Number(value.toFixed(4))]);
    }
    download(`${VIEW.layer}_${META.dates[VIEW.date]}.csv`, ["x", "y", VIEW.layer], rows);
  });
}

async function start() {
  if (typeof DecompressionStream === "undefined") {
    $("failed").hidden = false;
    return;
  }
  $("tool").hidden = false;
  for (const option of [...$("layer").options]) if (!META.layers[option.value]) option.remove();
  for (const option of [...$("base").options]) if (option.value !== "none" && !META.layers[option.value]) option.remove();
  if (CHOSEN > 0) $("absent").hidden = true;
  $("base").value = VIEW.base;
  $("date").max = META.dates.length - 1;
  $("one-date").hidden = META.dates.length < 2;
  await startMap();
  await setDate(VIEW.date);
  await strip();
  clicks();
  MAP.on("plotly_relayout", drawn);
  MAP.addEventListener("keydown", keys);
  if ($("view")) {
    $("view").value = CHOSEN;
    $("view").addEventListener("change", () => { location.href = `?view=${$("view").value}#map-section`; });
  }
  $("date").addEventListener("input", () => { play(false); setDate(Number($("date").value)); });
  $("play").addEventListener("click", () => play(playing === null));
  $("layer").addEventListener("change", () => { VIEW.layer = $("layer").value; showMap(); });
  $("base").addEventListener("change", () => { VIEW.base = $("base").value; showMap(); });
  $("opacity").addEventListener("input", () => { VIEW.opacity = Number($("opacity").value) / 100; showMap(); });
  for (const id of ["draw", "box"]) $(id).addEventListener("click", () => setDraw($(id).getAttribute("aria-pressed") === "true" ? "" : $(id).value));
  $("clear").addEventListener("click", () => { setShapes([]); mark(null); });
  $("type").addEventListener("submit", typed);
  downloads();
  const volumes = META.cellArea !== null && META.quantity === "elevation_change";
  document.querySelectorAll(".volumes").forEach((e) => { e.hidden = !volumes; });
  const names = [...new Set((META.series || []).map((r) => r.name))];
  $("areas").hidden = names.length === 0;
  for (const name of names) $("area").append(new Option(name, name));
  $("area").addEventListener("change", () => showArea($("area").value));
  if (names.length) {
    $("area").value = names[0];
    showArea(names[0]);
  } else {
    const strongest = Math.abs(META.lowest.value) > Math.abs(META.highest.value) ? META.lowest : META.highest;
    await pick(strongest.row, strongest.column);
  }
  let timer;
  window.addEventListener("resize", () => { clearTimeout(timer); timer = setTimeout(() => resize(), 150); });
  window.addEventListener("beforeprint", () => { play(false); resize(690, 430); });
  window.addEventListener("afterprint", () => resize());
  document.documentElement.dataset.ready = "yes";
}

start().catch((error) => {
  $("failed").hidden = false;
  $("failed").textContent = `The map could not be drawn: ${error.message}`;
  throw error;
});
