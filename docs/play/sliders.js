// What a slider does: the number for each of its positions, and the position of a number.
"use strict";

const PER_DECADE = 20;

// From `least` on by equal factors.
function by_factors(least, decades) {
  return {
    last: PER_DECADE * decades,
    value: (position) => Number((least * 10 ** (position / PER_DECADE)).toPrecision(2)),
    position: (value) => Math.round(PER_DECADE * Math.log10(value / least)),
  };
}

// From `least` to `most` by equal steps.
function by_steps(least, most, step = 1) {
  return {
    last: Math.round((most - least) / step),
    value: (position) => Number((least + step * position).toPrecision(6)),
    position: (value) => Math.round((value - least) / step),
  };
}

// From 0 to 0.999: an average of 1 / (1 - beta) gradients, by equal factors.
const OF_AN_AVERAGE = {
  last: 3 * PER_DECADE,
  value: (position) => Number((1 - 10 ** (-position / PER_DECADE)).toFixed(4)),
  position: (value) => Math.round(-PER_DECADE * Math.log10(1 - value)),
};

const SLIDERS = {
  steps: { label: "Steps", ...by_steps(10, 500, 10) },
  noise: { label: "Noise of the gradient", ...by_steps(0, 3, 0.05) },
  lr: { label: "lr", ...by_factors(1e-4, 5) },
  accumulate: { label: "M, gradients a step", ...by_steps(1, 32) },
  window: { label: "window", ...by_steps(1, 32) },
  beta: { label: "beta", ...OF_AN_AVERAGE },
  beta1: { label: "beta1", ...OF_AN_AVERAGE },
  beta2: { label: "beta2", ...OF_AN_AVERAGE },
  rho: { label: "rho", ...OF_AN_AVERAGE },
  eps: { label: "eps", ...by_factors(1e-8, 8) },
  weight_decay: { label: "weight_decay", ...by_steps(0, 2, 0.05) },
  n: { label: "N, of lr / √(t / N)", ...by_factors(1, 3) },
};

// A number as near as the slider goes.
function within(slider, value) {
  return Math.min(Math.max(value, slider.value(0)), slider.value(slider.last));
}
