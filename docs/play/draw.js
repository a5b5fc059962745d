// Pictures of a run: paths over a surface, and losses over steps.
"use strict";

// Okabe and Ito's colours, which colour-blind people tell apart; play.css has them. An optimizer is always drawn alike,
// and no two alike, for 7 and 8 have no common factor.
const COLORS = 7;
const DASHES = [[], [9, 3, 2, 3, 2, 3], [2, 3], [14, 4], [8, 3, 2, 3], [5, 3], [16, 3, 3, 3], [1, 2]];

const LEVELS = 14;
const LEAST_LOSS = 1e-12; // less than that is drawn as that

for (const name of ["ink", "paper", "land", ...Array.from({ length: COLORS }, (_, k) => `stroke-${k}`)]) {
  CSS.registerProperty({ name: `--${name}`, syntax: "<color>", inherits: true, initialValue: "#000" });
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
}

function stroke_of(name) {
  const k = Object.keys(OPTIMIZERS).indexOf(name);
  return { color: `stroke-${k % COLORS}`, dash: DASHES[k % DASHES.length] };
}

// An empty canvas that is as sharp as the screen, measured in the page's pixels.
function emptied(canvas) {
  const { width, height } = canvas.getBoundingClientRect(), ratio = devicePixelRatio;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.lineJoin = "round";
  return { context, width, height };
}

// Weights to places on a picture of that size, and back.
function map_of({ center, width: shown }, width, height) {
  const scale = width / shown;
  return {
    to: ([x, y]) => [width / 2 + scale * (x - center[0]), height / 2 - scale * (y - center[1])],
    from: ([left, top]) => [center[0] + (left - width / 2) / scale, center[1] - (top - height / 2) / scale],
  };
}

function draw_surface(canvas, surface, start, runs, shown) {
  const { context, width, height } = emptied(canvas), map = map_of(surface, width, height);
  context.drawImage(picture_of(surface, canvas.width, canvas.height), 0, 0, width, height);
  for (const minimum of surface.minima) draw_cross(context, map.to(minimum));
  for (const { name, path } of runs) draw_line(context, path.map(map.to), shown, stroke_of(name));
  draw_ring(context, map.to(start));
}

// The surface alone, kept until another is needed.
let kept = { key: "" };

function picture_of(surface, width, height) {
  const key = [surface.label, width, height, color("land"), color("paper")].join();
  if (kept.key !== key) kept = { key, picture: draw_land(surface, width, height) };
  return kept.picture;
}

function draw_land(surface, width, height) {
  const picture = new OffscreenCanvas(width, height), context = picture.getContext("2d");
  const map = map_of(surface, width, height);
  const columns = 161, rows = 121, cell = [width / (columns - 1), height / (rows - 1)];
  const grid = heights(columns, rows, (column, row) => surface.value(...map.from([column * cell[0], row * cell[1]])));
  const lines = levels(grid, LEVELS);
  context.putImageData(bands(surface, map, lines, width, height), 0, 0);
  context.strokeStyle = color("land");
  context.globalAlpha = 0.35;
  context.lineWidth = Math.max(1, devicePixelRatio * 0.75);
  context.beginPath();
  for (const line of lines) {
    for (const [from, to] of line_at(line, grid, columns, rows)) {
      context.moveTo(from[0] * cell[0], from[1] * cell[1]);
      context.lineTo(to[0] * cell[0], to[1] * cell[1]);
    }
  }
  context.stroke();
  return picture;
}

// The deeper, the darker: each line adds to what lies below it.
function bands(surface, map, lines, width, height) {
  const image = new ImageData(width, height), words = new Uint32Array(image.data.buffer);
  const [red, green, blue] = color("land").match(/\d+/g).map(Number);
  const shades = [...lines, Infinity].map((_, k) => red | (green << 8) | (blue << 16) | (255 * (1 - 0.95 ** (LEVELS - k)) << 24));
  for (let top = 0, k = 0; top < height; top++) {
    for (let left = 0; left < width; left++) {
      const height_here = surface.value(...map.from([left + 0.5, top + 0.5]));
      let band = 0;
      while (band < LEVELS && height_here > lines[band]) band++;
      words[k++] = shades[band];
    }
  }
  return image;
}

// As far as the step that is shown, with a dot at the head.
function draw_line(context, points, shown, { color: name, dash }) {
  const [first, ...rest] = points.slice(0, shown + 1);
  context.beginPath();
  context.moveTo(...first);
  for (const point of rest) context.lineTo(...point);
  context.setLineDash(dash);
  context.strokeStyle = color("paper");
  context.lineWidth = 4;
  context.stroke();
  context.strokeStyle = context.fillStyle = color(name);
  context.lineWidth = 2.2;
  context.stroke();
  context.setLineDash([]);
  context.beginPath();
  context.arc(...(rest.at(-1) ?? first), 5, 0, 2 * Math.PI);
  context.fill();
  context.strokeStyle = color("paper");
  context.lineWidth = 1.5;
  context.stroke();
}

function draw_cross(context, [x, y]) {
  context.strokeStyle = color("ink");
  context.lineWidth = 1.5;
  context.beginPath();
  for (const side of [-1, 1]) {
    context.moveTo(x - 5, y - 5 * side);
    context.lineTo(x + 5, y + 5 * side);
  }
  context.stroke();
}

function draw_ring(context, [x, y]) {
  for (const [name, width] of [["paper", 5], ["ink", 2]]) {
    context.strokeStyle = color(name);
    context.lineWidth = width;
    context.beginPath();
    context.arc(x, y, 7, 0, 2 * Math.PI);
    context.stroke();
  }
}

function draw_losses(canvas, runs, steps, shown) {
  const { context, width, height } = emptied(canvas);
  const [left, right, top, bottom] = [46, width - 14, 26, height - 38];
  const logs = runs.map(({ losses }) => losses.map((loss) => Math.log10(Math.max(loss, LEAST_LOSS))));
  const [low, high] = decades(logs.flat());
  const place = (step, log) => [
    left + (right - left) * step / steps,
    bottom - (bottom - top) * (Math.min(log, high) - low) / (high - low),
  ];
  draw_axes(context, { left, right, top, bottom }, place, steps, low, high);
  runs.forEach(({ name }, k) => draw_line(context, logs[k].map((log, step) => place(step, log)), shown, stroke_of(name)));
}

// The powers of ten between which the losses lie: at least two decades; what diverges does not count.
function decades(logs) {
  const seen = logs.filter((log) => log < 4);
  const high = Math.ceil(Math.max(-1, ...seen) + 0.01);
  return [Math.min(Math.floor(Math.min(0, ...seen)), high - 2), high];
}

function draw_axes(context, { left, right, top, bottom }, place, steps, low, high) {
  context.fillStyle = context.strokeStyle = color("ink");
  context.lineWidth = 1;
  context.font = "12px system-ui, sans-serif";
  context.textBaseline = "middle";
  context.textAlign = "right";
  const every = Math.ceil((high - low) / 7);
  for (let power = high; power >= low; power -= every) {
    const y = place(0, power)[1];
    context.globalAlpha = 0.15;
    context.strokeRect(left, y, right - left, 0);
    context.globalAlpha = 0.8;
    context.fillText(power_of_ten(power), left - 8, y);
  }
  context.textAlign = "center";
  for (const step of [0, steps / 2, steps]) context.fillText(step, place(step, low)[0], bottom + 14);
  context.fillText("steps", (left + right) / 2, bottom + 29);
  context.textAlign = "left";
  context.fillText("loss", left, top - 15);
  context.globalAlpha = 1;
}

function power_of_ten(power) {
  return `10${[...String(power)].map((digit) => (digit === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit])).join("")}`;
}
