// What a reader has chosen, and the part of the address after # that keeps it, so that a view can be shared.
"use strict";

const CHOSEN_FIRST = ["SGD", "Momentum", "RMSProp", "Adam"];
const RUN = { steps: 200, noise: 0, seed: 1 };

// A state from an address; what it leaves out, or has wrong, is as at first.
function state_of(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const surface = Object.hasOwn(SURFACES, given.get("surface")) ? given.get("surface") : "ravine";
  const start = given.get("start")?.split(",").map(Number.parseFloat) ?? [];
  const is_place = start.length === 2 && start.every(Number.isFinite);
  const chosen = given.get("with")?.split(",").filter((name) => Object.hasOwn(OPTIMIZERS, name));
  return {
    surface,
    start: is_place ? inside(SURFACES[surface], start) : SURFACES[surface].start,
    ...numbers_of(given, "", RUN),
    chosen: chosen ?? CHOSEN_FIRST,
    hyper: Object.fromEntries(
      Object.entries(OPTIMIZERS).map(([name, { hyper }]) => [name, numbers_of(given, `${name}.`, hyper)]),
    ),
  };
}

function hash_of(state) {
  const { surface, chosen, hyper } = state;
  const parts = [`surface=${surface}`, `with=${chosen}`];
  if (state.start !== SURFACES[surface].start) parts.push(`start=${state.start.map((x) => +x.toFixed(3))}`);
  parts.push(...changed("", state, RUN));
  for (const name of chosen) parts.push(...changed(`${name}.`, hyper[name], OPTIMIZERS[name].hyper));
  return `#${parts.join("&")}`;
}

// The numbers and flags that `given` has under these names, and the defaults of the others.
function numbers_of(given, prefix, defaults) {
  const number = (name, text) => {
    const value = Number.parseFloat(text);
    if (!Number.isFinite(value)) return defaults[name];
    return name in SLIDERS ? within(SLIDERS[name], value) : value;
  };
  return Object.fromEntries(
    Object.entries(defaults).map(([name, value]) => {
      const text = given.get(prefix + name);
      if (text === null) return [name, value];
      return [name, typeof value === "boolean" ? text === "true" : number(name, text)];
    }),
  );
}

function changed(prefix, values, defaults) {
  const names = Object.keys(defaults).filter((name) => values[name] !== defaults[name]);
  return names.map((name) => `${prefix}${name}=${values[name]}`);
}
