// The surfaces: what lies over two weights. The lowest points of each are 0 high.
//
// `center` and `width` say which part is shown, four to three; `minima` are marked.
"use strict";

const SURFACES = {
  ravine: {
    label: "Ravine",
    formula: "⅒ x² + 10 y²",
    value: (x, y) => 0.1 * x * x + 10 * y * y,
    gradient: (x, y) => [0.2 * x, 20 * y],
    center: [-0.5, 0],
    width: 7,
    start: [-3.3, 1.4],
    minima: [[0, 0]],
  },
  saddle: {
    label: "Saddle",
    formula: "1 + x² − y² + ¼ y⁴",
    value: (x, y) => 1 + x * x - y * y + y ** 4 / 4,
    gradient: (x, y) => [2 * x, -2 * y + y ** 3],
    center: [0, 0],
    width: 5.6,
    start: [-2.2, 0.001],
    minima: [[0, Math.SQRT2], [0, -Math.SQRT2]],
  },
  plateau: {
    label: "Plateau",
    formula: "1 − exp(−½ (x² + y²))",
    value: (x, y) => -Math.expm1(-(x * x + y * y) / 2),
    gradient: (x, y) => [x, y].map((w) => w * Math.exp(-(x * x + y * y) / 2)),
    center: [-1, 0],
    width: 7,
    start: [-3.2, 1.2],
    minima: [[0, 0]],
  },
  rosenbrock: {
    label: "Rosenbrock",
    formula: "((1 − x)² + 100 (y − x²)²) / 200",
    value: (x, y) => ((1 - x) ** 2 + 100 * (y - x * x) ** 2) / 200,
    gradient: (x, y) => [(-2 * (1 - x) - 400 * x * (y - x * x)) / 200, 200 * (y - x * x) / 200],
    center: [0, 0.75],
    width: 4,
    start: [-1.2, 1],
    minima: [[1, 1]],
  },
  valleys: {
    label: "Two valleys",
    formula: "¼ x⁴ − x³/12 − x² + 15/16 x + 135/64 + y²",
    value: (x, y) => x ** 4 / 4 - x ** 3 / 12 - x * x + 15 / 16 * x + 135 / 64 + y * y,
    gradient: (x, y) => [(x + 1.5) * (x - 0.5) * (x - 1.25), 2 * y],
    center: [0.3, 0],
    width: 5.4,
    start: [2.6, 1.3],
    minima: [[-1.5, 0], [1.25, 0]],
  },
};

// The nearest weights that are shown.
function inside({ center, width }, weights) {
  const reach = [width / 2, width * 3 / 8];
  return weights.map((w, axis) => Math.min(Math.max(w, center[axis] - reach[axis]), center[axis] + reach[axis]));
}
