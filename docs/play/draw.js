// Paths over a surface, and the strokes of all pictures.
"use strict";

// Okabe and Ito's colours, which colour-blind people tell apart; play.css has them. An optimizer is always drawn alike,
// and no two alike, for 7 and 8 have no common factor.
const COLORS = 7;
const DASHES = [[], [9, 3, 2, 3, 2, 3], [2, 3], [14, 4], [8, 3, 2, 3], [5, 3], [16, 3, 3, 3], [1, 2]];

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
