// Losses over steps.
"use strict";

const LEAST_LOSS = 1e-12; // less than that is drawn as that

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
  runs.forEach(({ name }, k) => {
    const points = logs[k].map((log, step) => place(step, log));
    draw_line(context, points, shown, stroke_of(name));
  });
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
