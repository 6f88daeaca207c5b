"use strict";
/* The page's data: numbers in JSON, and each date of each layer as compressed whole numbers. */
/* Which of the page's grids is shown: the address says it, ?view=1 is the second. */
const CHOSEN = document.getElementById(`meta${new URLSearchParams(location.search).get("view")}`) ? Number(new URLSearchParams(location.search).get("view")) : 0;
const META = JSON.parse(document.getElementById(`meta${CHOSEN}`).textContent);
const GAP = -32768;

async function unpack(id, kind) {
  const text = document.getElementById(id).textContent.trim();
  const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = await new Response(stream).arrayBuffer();
  if (kind === "uint8") return new Uint8Array(bytes);
  const view = new DataView(bytes);
  const numbers = new Int16Array(bytes.byteLength / 2);
  for (let i = 0; i < numbers.length; i += 1) numbers[i] = view.getInt16(2 * i, true);
  return numbers;
}

const SLICES = new Map();

/* The numbers of a layer on a date; a layer without dates has one slice. */
function slice(name, date) {
  const layer = META.layers[name];
  const id = `d${CHOSEN}-${name}-${layer.slices > 1 ? date : 0}`;
  if (!SLICES.has(id)) SLICES.set(id, unpack(id, layer.kind));
  return SLICES.get(id);
}

function layerValue(name, number) {
  const layer = META.layers[name];
  if (layer.kind === "int16" ? number === GAP : number === 0) return NaN;
  return layer.offset + layer.step * number;
}

function decimals(step) {
  return step >= 1 ? 0 : Math.max(0, Math.round(-Math.log10(step)));
}

function metres(value, step = 0.01) {
  if (value === null || !Number.isFinite(value)) return "no value";
  return `${value > 0 ? "+" : ""}${value.toFixed(decimals(step))} m`;
}

function cubic(value) {
  return value === null || !Number.isFinite(value) ? "unknown" : `${Math.round(value).toLocaleString("en")} m³`;
}

function download(name, columns, rows) {
  const quote = (v) => {
    if (v === null || v === undefined || (typeof v === "number" && !Number.isFinite(v))) return "";
    const text = String(v);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [columns, ...rows].map((row) => row.map(quote).join(","));
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
