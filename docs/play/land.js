// The surface alone: bands between lines of equal height.
"use strict";

const LEVELS = 14;

// Kept until another is needed.
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
  const shade = (depth) => red | (green << 8) | (blue << 16) | ((255 * (1 - 0.95 ** depth)) << 24);
  const shades = Array.from({ length: LEVELS + 1 }, (_, k) => shade(LEVELS - k));
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
