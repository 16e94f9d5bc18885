// The loops of the interpreter, by PyTorch's names.

// Element by element: each operator is a small loop of its own, which the browser's compiler sees with one kind of
// numbers. p, q and s are -1, so that i & p is i, or 0 where an operand is one number for all. Comparisons take a sixth
// of the time of Math.max and of arithmetic with truth values, and leave what is not a number as it is.

export const UNARY = {
  neg: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = -a[i]; },
  abs: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Math.abs(a[i]); },
  sign: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = a[i] > 0 ? 1 : a[i] < 0 ? -1 : 0; },
  sqrt: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Math.sqrt(a[i]); },
  rsqrt: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = 1 / Math.sqrt(a[i]); },
  square: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = a[i] * a[i]; },
  reciprocal: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = 1 / a[i]; },
  exp: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Math.exp(a[i]); },
  expm1: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Math.expm1(a[i]); },
  log: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Math.log(a[i]); },
  log1p: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Math.log1p(a[i]); },
  sin: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Math.sin(a[i]); },
  cos: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Math.cos(a[i]); },
  tanh: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Math.tanh(a[i]); },
  asinh: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Math.asinh(a[i]); },
  sigmoid: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = 1 / (1 + Math.exp(-a[i])); },
  erf: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = erf(a[i]); },
  gelu: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = 0.5 * a[i] * (1 + erf(a[i] * Math.SQRT1_2)); },
  relu: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = a[i] < 0 ? 0 : a[i]; },
  floor: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Math.floor(a[i]); },
  ceil: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Math.ceil(a[i]); },
  trunc: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Math.trunc(a[i]); },
  to_bool: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = a[i] !== 0 ? 1 : 0; },
  logical_not: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = a[i] === 0 ? 1 : 0; },
  bitwise_not: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = a[i] === 0 ? 1 : 0; },
  isnan: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = a[i] !== a[i] ? 1 : 0; },
  isinf: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Math.abs(a[i]) === Infinity ? 1 : 0; },
  isfinite: (r, a) => { for (let i = 0; i < r.length; i++) r[i] = Number.isFinite(a[i]) ? 1 : 0; },
};

export const BINARY = {
  add: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] + b[i & q]; },
  sub: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] - b[i & q]; },
  rsub: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = b[i & q] - a[i & p]; },
  mul: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] * b[i & q]; },
  div: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] / b[i & q]; },
  floordiv: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = Math.floor(a[i & p] / b[i & q]); },
  pow: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = power(a[i & p], b[i & q]); },
  atan2: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = Math.atan2(a[i & p], b[i & q]); },
  maximum: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = Math.max(a[i & p], b[i & q]); },
  minimum: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = Math.min(a[i & p], b[i & q]); },
  clamp_min: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] < b[i & q] ? b[i & q] : a[i & p]; },
  clamp_max: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] > b[i & q] ? b[i & q] : a[i & p]; },
  eq: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] === b[i & q] ? 1 : 0; },
  ne: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] !== b[i & q] ? 1 : 0; },
  lt: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] < b[i & q] ? 1 : 0; },
  le: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] <= b[i & q] ? 1 : 0; },
  gt: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] > b[i & q] ? 1 : 0; },
  ge: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] >= b[i & q] ? 1 : 0; },
  logical_and: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] && b[i & q] ? 1 : 0; },
  bitwise_and: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] && b[i & q] ? 1 : 0; },
  logical_or: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] || b[i & q] ? 1 : 0; },
  bitwise_or: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] || b[i & q] ? 1 : 0; },
  threshold_backward: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = b[i & q] <= 0 ? 0 : a[i & p]; },
  tanh_backward: (r, a, p, b, q) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] * (1 - b[i & q] * b[i & q]); },
};

export const TERNARY = {
  where: (r, a, p, b, q, c, s) => { for (let i = 0; i < r.length; i++) r[i] = a[i & p] ? b[i & q] : c[i & s]; },
  addcmul(r, a, p, b, q, c, s, f) {
    for (let i = 0; i < r.length; i++) r[i] = a[i & p] + f * b[i & q] * c[i & s];
  },
  addcdiv(r, a, p, b, q, c, s, f) {
    for (let i = 0; i < r.length; i++) r[i] = a[i & p] + (f * b[i & q]) / c[i & s];
  },
  lerp(r, a, p, b, q, c, s) {
    for (let i = 0; i < r.length; i++) r[i] = a[i & p] + c[i & s] * (b[i & q] - a[i & p]);
  },
};

// As C's pow: 1 to any power and anything to the power 0 are 1. JavaScript's 1 ** NaN is not a number.
const power = (a, b) => (a === 1 ? 1 : a ** b);

// The error function: its series, whose terms all have one sign (Abramowitz & Stegun 1964, eq. 7.1.6).
function erf(x) {
  const size = Math.abs(x);
  if (!(size < 4)) return size >= 4 ? Math.sign(x) : NaN;
  let sum = x;
  for (let n = 1, term = x; Math.abs(term) > 1e-9 * Math.abs(sum); n++) sum += term *= (2 * x * x) / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

// A reduction gets the numbers, where a group begins, how many belong to it, and how far they lie apart.

export const REDUCTIONS = {
  sum: (a, k, n, step) => { let s = 0; for (let i = 0; i < n; i++) s += a[k + i * step]; return s; },
  mean: (a, k, n, step) => { let s = 0; for (let i = 0; i < n; i++) s += a[k + i * step]; return s / n; },
  prod: (a, k, n, step) => { let s = 1; for (let i = 0; i < n; i++) s *= a[k + i * step]; return s; },
  amax: (a, k, n, step) => { let s = a[k]; for (let i = 1; i < n; i++) s = Math.max(s, a[k + i * step]); return s; },
  amin: (a, k, n, step) => { let s = a[k]; for (let i = 1; i < n; i++) s = Math.min(s, a[k + i * step]); return s; },
  any: (a, k, n, step) => { for (let i = 0; i < n; i++) if (a[k + i * step] !== 0) return 1; return 0; },
  all: (a, k, n, step) => { for (let i = 0; i < n; i++) if (a[k + i * step] === 0) return 0; return 1; },
  argmax: (a, k, n, step) => furthest(a, k, n, step, 1),
  argmin: (a, k, n, step) => furthest(a, k, n, step, -1),
};

// The first place of the largest (sign 1) or smallest (sign -1) number; what is not a number is furthest.
function furthest(a, k, n, step, sign) {
  let best = 0;
  for (let i = 0; i < n; i++) {
    if (a[k + i * step] !== a[k + i * step]) return i;
    if (sign * a[k + i * step] > sign * a[k + best * step]) best = i;
  }
  return best;
}
