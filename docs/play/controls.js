// Elements of the page that a reader moves.
"use strict";

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// A choice among others: `type` is radio or checkbox.
function chip(type, name, value, label, on_change, ...decoration) {
  const input = element("input", { type, name, value });
  input.addEventListener("change", () => on_change(input));
  return element("label", { className: "chip" }, input, ...decoration, label);
}

// A short line in the stroke of an optimizer.
function sample(name) {
  const { color, dash } = stroke_of(name);
  const template = element("template");
  template.innerHTML =
    `<svg class="sample" viewBox="0 0 30 8" aria-hidden="true"><line x2="30" y1="4" y2="4" stroke="var(--${color})" ` +
    `stroke-width="2.5" stroke-dasharray="${dash.join(" ")}"/></svg>`;
  return template.content.firstChild;
}

// A slider, or a box to tick for a flag, of `values[name]`.
function control(values, name, on_change) {
  return typeof values[name] === "boolean" ? flag(values, name, on_change) : slider(values, name, on_change);
}

function slider(values, name, on_change) {
  const { label, last, value, position } = SLIDERS[name];
  const input = element("input", { type: "range", min: 0, max: last, value: position(values[name]), name });
  const number = element("span", { className: "number", ariaHidden: true });
  const show = () => {
    number.textContent = values[name];
    input.setAttribute("aria-valuetext", values[name]);
  };
  input.addEventListener("input", () => {
    values[name] = value(input.valueAsNumber);
    show();
    on_change();
  });
  show();
  return element("label", { className: "slider" }, label, number, input);
}

function flag(values, name, on_change) {
  const input = element("input", { type: "checkbox", checked: values[name], name });
  input.addEventListener("change", () => {
    values[name] = input.checked;
    on_change();
  });
  return element("label", { className: "flag" }, input, name);
}
