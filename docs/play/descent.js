// An optimizer on its way down a surface.
"use strict";

const FAR = 1e6; // who is farther away than that has diverged

// A source of normally distributed numbers, the same for the same seed: mulberry32, by Box and Muller.
function normal_numbers(seed) {
  function uniform() {
    seed = (seed + 0x6d2b79f5) | 0;
    let bits = Math.imul(seed ^ (seed >>> 15), seed | 1);
    bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  }
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

// An optimizer as a function from weights and their gradient to the next weights. Each weight has states of its own.
function stepper({ rule, fixed, initial, at }, { accumulate = 1, ...hyper }) {
  const zeros = () => Array(RULES[rule].length - 3).fill(0);
  let t = 0, gathered = [], states = [];
  return function step(ws, gs) {
    gathered.push(gs);
    if (gathered.length < accumulate) return ws;
    const means = gs.map((_, k) => sum(gathered.map((each) => each[k])) / accumulate);
    gathered = [];
    t += 1;
    const now = { t, ...fixed, ...(at ? at(hyper, t) : hyper) };
    const after = ws.map((w, k) => RULES[rule](w, means[k], ...(states[k] ?? (initial ?? zeros)(hyper)), now));
    states = after.map(([, ...state]) => state);
    return after.map(([w]) => w);
  };
}

// The weights before each step and at the end, or until they are far away. Each gradient is off by `noise` times a
// normal number; with the same seed these are the same for all optimizers.
function descend(surface, optimizer, hyper, { start, steps, noise, seed }) {
  const step = stepper(optimizer, hyper), normal = normal_numbers(seed);
  const path = [start];
  for (let w = start; path.length <= steps; path.push(w)) {
    w = step(w, surface.gradient(...w).map((g) => g + noise * normal()));
    if (!w.every((x) => Math.abs(x) < FAR)) break;
  }
  return path;
}
