// The rules, for one weight, in double: the same statements as python/fusedoptim/reference.py, in the same order.
//
// A rule takes a weight, its gradient, its states and the hyper-parameters, and returns the next weight and states.
// tests/play/test_rules.py compares each of them with the kernel of its name.
"use strict";

const { abs, max, min, sign, sqrt } = Math;

const RULES = {
  sgd(w, g, { lr, weight_decay }) {
    w = w - (lr * weight_decay * w + lr * g);
    return [w];
  },

  window_sgd(w, g, ring, { lr, t }) {
    const window = ring.length, newest = (t - 1) % window;
    ring = ring.with(newest, g);
    w = w - lr / min(t, window) * sum(roll(ring, newest + 1)); // oldest first
    return [w, ring];
  },

  momentum(w, g, m, { lr, beta }) {
    m = beta * m + (1 - beta) * g;
    w = w - lr * m;
    return [w, m];
  },

  nesterov(w, g, m, { lr, beta }) {
    m = beta * m + (1 - beta) * g;
    w = w - lr * (beta * m + (1 - beta) * g);
    return [w, m];
  },

  rmsprop(w, g, v, { lr, beta, eps, eps_root }) {
    v = beta * v + (1 - beta) * (g * g);
    w = w - lr * g / (sqrt(v + eps_root) + eps);
    return [w, v];
  },

  adam(w, g, m, v, { lr, beta1, beta2, eps, eps_root, t }) {
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * (g * g);
    const step = lr / (1 - beta1 ** t), unbias = 1 / (1 - beta2 ** t);
    w = w - step * m / (sqrt(unbias * v + eps_root) + eps);
    return [w, m, v];
  },

  adamw(w, g, m, v, { lr, weight_decay, ...hyper }) {
    const [u, ...state] = step_of(RULES.adam, g, m, v, { lr, ...hyper });
    w = w - (lr * weight_decay * w + u);
    return [w, ...state];
  },

  adagrad(w, g, v, { lr, lr_decay, eps, eps_root, t }) {
    v = v + g * g;
    w = w - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(v + eps_root) + eps);
    return [w, v];
  },

  adadelta(w, g, v, d, { lr, rho, eps }) {
    v = rho * v + (1 - rho) * (g * g);
    const step = sqrt(d + eps) / sqrt(v + eps) * g;
    d = rho * d + (1 - rho) * (step * step);
    w = w - lr * step;
    return [w, v, d];
  },

  adamax(w, g, m, u, { lr, beta1, beta2, eps, t }) {
    m = beta1 * m + (1 - beta1) * g;
    u = max(beta2 * u, abs(g) + eps);
    w = w - lr / (1 - beta1 ** t) * m / u;
    return [w, m, u];
  },

  nadam(w, g, m, v, { lr, beta1, beta2, eps, mu_decay, mu_product, t }) {
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * (g * g);
    const [mu, mu_next] = [t, t + 1].map((s) => beta1 * (1 - 0.5 * mu_decay ** s));
    const ahead = lr * (1 - mu) / (1 - mu_product * mu), along = lr * mu_next / (1 - mu_product * mu * mu_next);
    w = w - (ahead * g + along * m) / (sqrt(1 / (1 - beta2 ** t) * v) + eps);
    return [w, m, v];
  },

  radam(w, g, m, v, { lr, beta1, beta2, eps, t }) {
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * (g * g);
    const step = lr / (1 - beta1 ** t), r = rectification(beta2, t);
    w = w - (r > 0 ? step * r * m / (sqrt(v) + eps) : step * m);
    return [w, m, v];
  },

  amsgrad(w, g, m, v, v_max, { lr, beta1, beta2, eps, eps_root, t }) {
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * (g * g);
    v_max = max(v_max, 1 / (1 - beta2 ** t) * v);
    w = w - lr / (1 - beta1 ** t) * m / (sqrt(v_max + eps_root) + eps);
    return [w, m, v, v_max];
  },

  adabelief(w, g, m, s, { lr, beta1, beta2, eps, eps_root, t }) {
    m = beta1 * m + (1 - beta1) * g;
    s = beta2 * s + (1 - beta2) * ((g - m) * (g - m)) + eps_root;
    w = w - lr / (1 - beta1 ** t) * m / (sqrt(1 / (1 - beta2 ** t) * s) + eps);
    return [w, m, s];
  },

  yogi(w, g, m, v, { lr, beta1, beta2, eps, t }) {
    m = beta1 * m + (1 - beta1) * g;
    v = v - (1 - beta2) * (sign(v - g * g) * (g * g));
    w = w - lr / (1 - beta1 ** t) * m / (sqrt(1 / (1 - beta2 ** t) * v) + eps);
    return [w, m, v];
  },

  lion(w, g, m, { lr, beta1, beta2, weight_decay }) {
    w = w - (lr * weight_decay * w + lr * sign(beta1 * m + (1 - beta1) * g));
    m = beta2 * m + (1 - beta2) * g;
    return [w, m];
  },

  sign_sgd(w, g, { lr, weight_decay }) {
    w = w - (lr * weight_decay * w + lr * sign(g));
    return [w];
  },

  rprop(w, g, prev, step, { lr, eta_minus, eta_plus, step_min, step_max }) {
    const agree = sign(g) * sign(prev);
    step = step === 0 ? lr : step; // it begins
    step = agree > 0 ? eta_plus * step : agree < 0 ? eta_minus * step : step;
    step = min(max(step, step_min), step_max);
    prev = agree < 0 ? 0 : g;
    w = w - step * sign(prev);
    return [w, prev, step];
  },
};

// What `rule` subtracts from a weight, and the states after it.
function step_of(rule, ...rest) {
  const [u, ...state] = rule(0, ...rest);
  return [-u, ...state];
}

function sum(numbers) {
  return numbers.reduce((total, x) => total + x, 0);
}

// The numbers from `first` on, then those before.
function roll(numbers, first) {
  return [...numbers.slice(first), ...numbers.slice(0, first)];
}

// RAdam's r √(1 - beta2^t), or 0 where v is not used yet.
function rectification(beta2, t) {
  const rest = beta2 ** t, rho_inf = 2 / (1 - beta2) - 1;
  const rho = rho_inf - 2 * t * rest / (1 - rest);
  const above = (rho - 4) * (rho - 2) * rho_inf, below = (rho_inf - 4) * (rho_inf - 2) * rho;
  return rho > 5 ? sqrt(above / below * (1 - rest)) : 0;
}
