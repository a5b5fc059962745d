// The page: what a reader does changes `state`, and everything that is shown follows from it.
"use strict";

const SECONDS = 4; // that a run takes to be played

const $ = (id) => document.getElementById(id);
let state, runs, shown, playing;

// From the address, at first and whenever it is another.
function begin() {
  state = state_of(location.hash);
  for (const input of document.querySelectorAll(".chip input")) {
    input.checked = input.value === state.surface || state.chosen.includes(input.value);
  }
  show_controls();
  show_cards();
  change();
}

// After each change: the runs anew, and all of their steps.
function change() {
  stop();
  const surface = SURFACES[state.surface];
  runs = state.chosen.map((name) => {
    const path = descend(surface, OPTIMIZERS[name], state.hyper[name], state);
    return { name, path, losses: path.map((w) => surface.value(...w)) };
  });
  shown = state.steps;
  state.start.forEach((x, axis) => ($(`start-${"xy"[axis]}`).value = +x.toFixed(3))); // one may type while it plays
  show();
  describe();
  clearTimeout(pause);
  pause = setTimeout(settle, 400);
}

// Once the reader pauses: what follows is too much for each move of a slider.
let pause;

function settle() {
  history.replaceState(null, "", hash_of(state));
  const ends = runs.map((run) => `${label_of(run.name)} ${loss_at(run, state.steps)}`);
  $("summary").textContent = ends.length
    ? `Losses after ${state.steps} steps: ${ends.join(", ")}.`
    : "No optimizer is chosen.";
}

function show() {
  const surface = SURFACES[state.surface];
  $("formula").textContent = `f(x, y) = ${surface.formula}`;
  $("shown").max = state.steps;
  $("shown").value = $("shown-value").textContent = shown;
  $("link").href = hash_of(state);
  for (const run of runs) {
    const card = $(`card-${run.name}`);
    card.querySelector(".loss").textContent = loss_at(run, shown);
    card.querySelector("code").textContent = in_python(OPTIMIZERS[run.name], state.hyper[run.name]);
  }
  draw_surface($("land"), surface, state.start, runs, shown); // last: words can change the room that there is
  draw_losses($("losses"), runs, state.steps, shown);
}

// In words, for a path that diverges ends.
function loss_at({ losses }, step) {
  if (step >= losses.length) return "diverged";
  return losses[step] < 1e-3 ? Math.max(losses[step], 0).toExponential(1) : losses[step].toPrecision(2);
}

function label_of(name) {
  return OPTIMIZERS[name].label ?? name;
}

// For those who do not see the pictures.
function describe() {
  const { label } = SURFACES[state.surface];
  const names = state.chosen.map(label_of).join(", ") || "no optimizer";
  const start = state.start.map((x) => +x.toFixed(2)).join(", ");
  $("land").setAttribute("aria-label", `${label}: the paths of ${names} from ${start}`);
  $("losses").setAttribute("aria-label", `The losses of ${names} over ${state.steps} steps`);
}

// Playing

function play() {
  if (playing) return stop();
  const from = shown < state.steps ? shown : 0;
  let begun;
  $("play").textContent = "Pause";
  const frame = (now) => {
    begun ??= now;
    shown = Math.min(state.steps, from + Math.floor(((now - begun) / (1000 * SECONDS)) * state.steps));
    show();
    playing = shown < state.steps ? requestAnimationFrame(frame) : stop();
  };
  playing = requestAnimationFrame(frame);
}

function stop() {
  cancelAnimationFrame(playing);
  playing = undefined;
  $("play").textContent = "Play";
}

// Controls

function show_controls() {
  $("run").querySelectorAll(".slider, .start").forEach((old) => old.remove());
  const sliders = ["steps", "noise"].map((name) => control(state, name, change));
  $("run").querySelector("legend").after(...sliders, start_fields());
}

function start_fields() {
  const fields = ["x", "y"].map((axis, k) => {
    const input = element("input", { type: "number", step: 0.1, id: `start-${axis}` });
    input.addEventListener("change", () => {
      if (Number.isFinite(input.valueAsNumber)) move_to(state.start.with(k, input.valueAsNumber));
    });
    return element("label", {}, `Start ${axis}`, input);
  });
  return element("div", { className: "start" }, ...fields);
}

function show_cards() {
  document.querySelectorAll("#cards .card:not(#run)").forEach((old) => old.remove());
  $("run").after(...state.chosen.map(card_of));
}

function card_of(name) {
  const legend = element("legend", {}, sample(name), label_of(name), element("span", { className: "number loss" }));
  const controls = Object.keys(OPTIMIZERS[name].hyper).map((hyper) => control(state.hyper[name], hyper, change));
  return element("fieldset", { className: "card", id: `card-${name}` }, legend, ...controls, element("code"));
}

function move_to(start) {
  state.start = inside(SURFACES[state.surface], start);
  change();
}

function move_to_pointer({ clientX, clientY }) {
  const { left, top, width, height } = $("land").getBoundingClientRect();
  move_to(map_of(SURFACES[state.surface], width, height).from([clientX - left, clientY - top]));
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };

function move_by_key(event) {
  const { start, width } = SURFACES[state.surface], arrow = ARROWS[event.key];
  if (event.key === "Home") move_to(start);
  else if (arrow) move_to(state.start.map((x, axis) => x + (arrow[axis] * width) / 40));
  else return;
  event.preventDefault();
}

for (const [name, { label }] of Object.entries(SURFACES)) {
  const choose = () => {
    state.surface = name;
    state.start = SURFACES[name].start;
    change();
  };
  $("surfaces").append(chip("radio", "surface", name, label, choose));
}
for (const name of Object.keys(OPTIMIZERS)) {
  const choose = ({ checked }) => {
    state.chosen = Object.keys(OPTIMIZERS).filter((each) => (each === name ? checked : state.chosen.includes(each)));
    show_cards();
    change();
  };
  $("optimizers").append(chip("checkbox", "optimizer", name, label_of(name), choose, sample(name)));
}
$("land").addEventListener("pointerdown", (event) => $("land").setPointerCapture(event.pointerId));
$("land").addEventListener("click", move_to_pointer);
$("land").addEventListener("pointermove", (event) => event.buttons && move_to_pointer(event));
$("land").addEventListener("keydown", move_by_key);
$("play").addEventListener("click", play);
$("shown").addEventListener("input", () => {
  stop();
  shown = $("shown").valueAsNumber;
  show();
});
$("redraw").addEventListener("click", () => {
  state.seed += 1;
  change();
});
$("reset").addEventListener("click", () => {
  history.replaceState(null, "", "#");
  begin();
});
addEventListener("hashchange", begin);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);

begin();
const resized = new ResizeObserver(show);
for (const canvas of document.querySelectorAll("canvas")) resized.observe(canvas);
if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();

// Within a page of the documentation, which gives the theme and wants the height.
if (parent !== window) {
  document.documentElement.classList.add("embedded");
  addEventListener("message", ({ data }) => {
    if (data?.theme === undefined) return;
    document.documentElement.dataset.theme = data.theme;
    show();
  });
  const tell = () => parent.postMessage({ height: document.documentElement.offsetHeight }, "*");
  new ResizeObserver(tell).observe(document.body);
}
