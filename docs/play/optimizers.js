// What the page offers: each optimizer with its rule, the hyper-parameters that have a slider, those that are fixed, and
// the line of Python that makes the same. tests/play/test_steppers.py runs that line beside it.
"use strict";

const BETAS = { beta1: 0.9, beta2: 0.999 };
const BETAS_IN_PYTHON = "betas=({beta1}, {beta2})";

const OPTIMIZERS = {
  SGD: { rule: "sgd", hyper: { lr: 0.09 }, fixed: { weight_decay: 0 }, python: "fo.SGD(w, lr={lr})" },
  Averaging: {
    label: "SGD, mean of M",
    rule: "sgd",
    hyper: { lr: 0.09, accumulate: 4 },
    fixed: { weight_decay: 0 },
    python: "fo.SGD(w, lr={lr}, accumulate={accumulate})",
  },
  WindowSGD: {
    rule: "window_sgd",
    hyper: { lr: 0.03, window: 5 },
    initial: ({ window }) => [Array(window).fill(0)],
    python: "fo.WindowSGD(w, lr={lr}, window={window})",
  },
  Momentum: { rule: "momentum", hyper: { lr: 0.5, beta: 0.9 }, python: "fo.Momentum(w, lr={lr}, beta={beta})" },
  Nesterov: { rule: "nesterov", hyper: { lr: 0.5, beta: 0.9 }, python: "fo.Nesterov(w, lr={lr}, beta={beta})" },
  RMSProp: {
    rule: "rmsprop",
    hyper: { lr: 0.05, beta: 0.9 },
    fixed: { eps: 1e-8, eps_root: 0 },
    python: "fo.RMSProp(w, lr={lr}, beta={beta})",
  },
  Adam: {
    rule: "adam",
    hyper: { lr: 0.1, ...BETAS, bias_correction: true },
    fixed: { eps: 1e-8, eps_root: 0 },
    at: ({ bias_correction, ...hyper }, t) => ({ ...hyper, t: bias_correction ? t : Infinity }),
    python: `fo.Adam(w, lr={lr}, ${BETAS_IN_PYTHON}, bias_correction={bias_correction})`,
  },
  AdamDecay: {
    label: "Adam, global decay",
    rule: "adam",
    hyper: { lr: 0.03, ...BETAS, n: 10 },
    fixed: { eps: 0, eps_root: 1e-8 },
    at: ({ lr, n, ...hyper }, t) => ({ ...hyper, lr: lr / sqrt(t / n), t: Infinity }),
    python:
      "fo.Adam(w, lr=fo.schedules.inverse_sqrt({lr}, n={n}), " +
      `${BETAS_IN_PYTHON}, eps=0, eps_root=1e-8, bias_correction=False)`,
  },
  AdamW: {
    rule: "adamw",
    hyper: { lr: 0.1, ...BETAS, weight_decay: 0.1 },
    fixed: { eps: 1e-8, eps_root: 0 },
    python: `fo.AdamW(w, lr={lr}, ${BETAS_IN_PYTHON}, weight_decay={weight_decay})`,
  },
  Adagrad: {
    rule: "adagrad",
    hyper: { lr: 0.5 },
    fixed: { lr_decay: 0, eps: 1e-10, eps_root: 0 },
    python: "fo.Adagrad(w, lr={lr})",
  },
  Adadelta: {
    rule: "adadelta",
    hyper: { lr: 1, rho: 0.9, eps: 1e-3 },
    python: "fo.Adadelta(w, lr={lr}, rho={rho}, eps={eps})",
  },
  Adamax: {
    rule: "adamax",
    hyper: { lr: 0.1, ...BETAS },
    fixed: { eps: 1e-8 },
    python: `fo.Adamax(w, lr={lr}, ${BETAS_IN_PYTHON})`,
  },
  NAdam: {
    rule: "nadam",
    hyper: { lr: 0.1, ...BETAS },
    fixed: { eps: 1e-8, mu_decay: 0.96 ** 4e-3 },
    at: (hyper, t) => ({ ...hyper, mu_product: mu_product(hyper.beta1, 0.96 ** 4e-3, t) }),
    python: `fo.NAdam(w, lr={lr}, ${BETAS_IN_PYTHON})`,
  },
  RAdam: {
    rule: "radam",
    hyper: { lr: 0.1, ...BETAS },
    fixed: { eps: 1e-8 },
    python: `fo.RAdam(w, lr={lr}, ${BETAS_IN_PYTHON})`,
  },
  AMSGrad: {
    rule: "amsgrad",
    hyper: { lr: 0.1, ...BETAS },
    fixed: { eps: 1e-8, eps_root: 0 },
    python: `fo.AMSGrad(w, lr={lr}, ${BETAS_IN_PYTHON})`,
  },
  AdaBelief: {
    rule: "adabelief",
    hyper: { lr: 0.1, ...BETAS },
    fixed: { eps: 1e-16, eps_root: 1e-16 },
    python: `fo.AdaBelief(w, lr={lr}, ${BETAS_IN_PYTHON})`,
  },
  Yogi: {
    rule: "yogi",
    hyper: { lr: 0.1, ...BETAS },
    fixed: { eps: 1e-3 },
    initial: () => [1e-6, 1e-6],
    python: `fo.Yogi(w, lr={lr}, ${BETAS_IN_PYTHON})`,
  },
  Lion: {
    rule: "lion",
    hyper: { lr: 0.03, beta1: 0.9, beta2: 0.99 },
    fixed: { weight_decay: 0 },
    python: `fo.Lion(w, lr={lr}, ${BETAS_IN_PYTHON})`,
  },
  SignSGD: { rule: "sign_sgd", hyper: { lr: 0.03 }, fixed: { weight_decay: 0 }, python: "fo.SignSGD(w, lr={lr})" },
  Rprop: {
    rule: "rprop",
    hyper: { lr: 0.05 },
    fixed: { eta_minus: 0.5, eta_plus: 1.2, step_min: 1e-6, step_max: 50 },
    python: "fo.Rprop(w, lr={lr})",
  },
};

// NAdam's mu_1 ⋯ mu_(t - 1).
function mu_product(beta1, mu_decay, t) {
  let product = 1;
  for (let s = 1; s < t; s++) product *= beta1 * (1 - 0.5 * mu_decay ** s);
  return product;
}

// The line of Python with its numbers in it.
function in_python({ python }, hyper) {
  const words = { true: "True", false: "False" };
  return python.replace(/\{(\w+)\}/g, (_, name) => words[hyper[name]] ?? hyper[name]);
}
