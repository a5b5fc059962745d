// Lines of equal height, by marching squares.
"use strict";

// The heights over a grid, row after row: `at` gives that over a column and a row.
function heights(columns, rows, at) {
  const grid = new Float64Array(columns * rows);
  for (let row = 0, k = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) grid[k++] = at(column, row);
  }
  return grid;
}

// Heights for lines, from low to high: there are more of them, the lower they lie.
function levels(grid, count) {
  const sorted = grid.toSorted();
  return Array.from({ length: count }, (_, k) => sorted[Math.floor(((k + 1) / (count + 1)) ** 2 * sorted.length)]);
}

// The pieces of a line, [from, to] in columns and rows, one or two for each cell that it crosses.
function line_at(level, grid, columns, rows) {
  const pieces = [];
  for (let row = 0; row + 1 < rows; row++) {
    for (let column = 0; column + 1 < columns; column++) {
      const corners = [[column, row], [column + 1, row], [column + 1, row + 1], [column, row + 1]];
      const above = corners.map(([x, y]) => grid[y * columns + x] - level);
      const crossings = [];
      for (let k = 0; k < 4; k++) {
        const next = (k + 1) % 4;
        if (above[k] > 0 === above[next] > 0) continue;
        const share = above[k] / (above[k] - above[next]);
        crossings.push(corners[k].map((x, axis) => x + share * (corners[next][axis] - x)));
      }
      for (let k = 0; k < crossings.length; k += 2) pieces.push([crossings[k], crossings[k + 1]]);
    }
  }
  return pieces;
}
