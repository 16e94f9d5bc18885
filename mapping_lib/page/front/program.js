// The interpreter: runs programs that mapping_lib/page/program.py traced from the library's own functions.
//
//     const run = prepare(program, { grid: { data, shape: [161, 1] } });
//     run({ alpha: 0.01, x: [[1], [2]], steps: 5 }).curve.data
//
// It knows PyTorch's operators by PyTorch's names.
import { multiplyMatrices } from "./kernel.js";
import { BINARY, REDUCTIONS, TERNARY, UNARY } from "./loops.js";
import { asTensor, count, diagonal, dimension, expand, filled, number, numbers, permute, rowMajor, scalar } from "./tensors.js";
import { select, slice, split, squeeze, tensor, transpose, unbind, unsqueeze, view } from "./tensors.js";

// Element by element --------------------------------------------------------------------------------------------------

function broadcastShape(shapes) {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  const result = Array.from({ length: rank }, () => 1);
  for (const shape of shapes) {
    shape.forEach((size, i) => {
      if (size !== 1) result[rank - shape.length + i] = size;
    });
  }
  return result;
}

function elementwise(loop, operands, factor) {
  const plain = operands.every((operand) => typeof operand === "number"); // sizes, which stay numbers
  if (plain) return number(elementwise(loop, operands.map(scalar), factor));
  const tensors = operands.map(asTensor);
  const shape = tensors.length === 1 ? tensors[0].shape : broadcastShape(tensors.map((t) => t.shape));
  const result = new Float32Array(count(shape));
  const args = [];
  for (const t of tensors) {
    if (count(t.shape) === 1) args.push(t.data.subarray(t.offset, t.offset + 1), 0);
    else args.push(numbers(count(t.shape) === result.length ? t : expand(t, shape)), -1);
  }
  loop(result, ...args, factor);
  return tensor(result, shape);
}

const scaled = (t, factor = 1) => (factor === 1 ? t : elementwise(BINARY.mul, [t, factor]));

function clamp(t, low, high) {
  if (low !== null && low !== undefined) t = elementwise(BINARY.clamp_min, [t, low]);
  return high === null || high === undefined ? t : elementwise(BINARY.clamp_max, [t, high]);
}

// Along dimensions ----------------------------------------------------------------------------------------------------
function reduce(kind, t, dims, keep = false) {
  const every = t.shape.map((_, i) => i);
  const all = dims === undefined || dims === null || dims.length === 0;
  const gone = all ? every : [dims].flat().map((dim) => dimension(dim, every.length)).sort((i, j) => i - j);
  const kept = every.filter((i) => !gone.includes(i));
  const together = gone.every((dim, i) => dim === gone[0] + i);
  const values = numbers(together ? t : permute(t, [...kept, ...gone]));
  const n = count(gone.map((i) => t.shape[i]));
  const inner = together ? count(t.shape.slice(gone.at(-1) + 1)) : 1;
  const result = new Float32Array(count(kept.map((i) => t.shape[i])));
  for (let i = 0; i < result.length; i++) {
    result[i] = kind(values, Math.floor(i / inner) * inner * n + (i % inner), n, inner);
  }
  const shape = keep ? t.shape.map((size, i) => (gone.includes(i) ? 1 : size)) : kept.map((i) => t.shape[i]);
  return tensor(result, shape);
}

function variance(t, dims, correction, keep) {
  const apart = elementwise(BINARY.sub, [t, reduce(REDUCTIONS.mean, t, dims, true)]);
  const result = reduce(REDUCTIONS.sum, elementwise(UNARY.square, [apart]), dims, keep);
  return elementwise(BINARY.div, [result, Math.max(0, count(t.shape) / count(result.shape) - correction)]);
}

// Apply a function of the rows' numbers, (numbers, where the row begins, its length), along one dimension.
function alongRows(t, dim, change) {
  const moved = transpose(t, dim, -1);
  const n = moved.shape.at(-1);
  const values = Float32Array.from(numbers(moved));
  for (let k = 0; k < values.length; k += n) change(values, k, n);
  return transpose(tensor(values, moved.shape), dim, -1);
}

function logSoftmaxRow(a, k, n) {
  const top = REDUCTIONS.amax(a, k, n, 1);
  let sum = 0;
  for (let i = 0; i < n; i++) sum += Math.exp(a[k + i] - top);
  for (let i = 0; i < n; i++) a[k + i] = a[k + i] - top - Math.log(sum);
}

function softmaxRow(a, k, n) {
  const top = REDUCTIONS.amax(a, k, n, 1);
  let sum = 0;
  for (let i = 0; i < n; i++) sum += Math.exp(a[k + i] - top);
  for (let i = 0; i < n; i++) a[k + i] = Math.exp(a[k + i] - top) / sum;
}

function cumulate(a, k, n) {
  for (let i = 1; i < n; i++) a[k + i] += a[k + i - 1];
}

function layerNorm(t, shape, weight, bias, eps) {
  const dims = shape.map((_, i) => i - shape.length);
  const mean = reduce(REDUCTIONS.mean, t, dims, true);
  const rstd = elementwise(UNARY.rsqrt, [elementwise(BINARY.add, [variance(t, dims, 0, true), eps])]);
  let result = elementwise(BINARY.mul, [elementwise(BINARY.sub, [t, mean]), rstd]);
  if (weight) result = elementwise(BINARY.mul, [result, weight]);
  if (bias) result = elementwise(BINARY.add, [result, bias]);
  return [result, mean, rstd];
}

// Putting together, picking out ---------------------------------------------------------------------------------------

function cat(tensors, dim = 0) {
  const parts = tensors.filter((t) => t.shape.length !== 1 || t.shape[0] !== 0);
  if (parts.length === 0) return tensors[0];
  dim = dimension(dim, parts[0].shape.length);
  if (dim !== 0) return transpose(cat(parts.map((t) => transpose(t, 0, dim)), 0), 0, dim);
  const shape = parts[0].shape.with(0, parts.reduce((n, t) => n + t.shape[0], 0));
  const result = new Float32Array(count(shape));
  let end = 0;
  for (const t of parts) {
    result.set(numbers(t), end);
    end += count(t.shape);
  }
  return tensor(result, shape);
}

function indexSelect(t, dim, index) {
  const parts = Array.from(numbers(index), (i) => unsqueeze(select(t, dim, i), dim));
  return parts.length ? cat(parts, dim) : slice(t, dim, 0, 0);
}

// t[i, j, ...] with tensors of places, which broadcast; null stands for a whole dimension. Places stand side by side.
function index(t, places) {
  const first = places.findIndex((place) => place !== null);
  const given = places.slice(first).map(asTensor);
  const shape = broadcastShape(given.map((place) => place.shape));
  const flat = given.map((place) => numbers(expand(place, shape)));
  const [before, after] = [t.shape.slice(0, first), t.shape.slice(first + given.length)];
  const pick = (k) => flat.reduce((part, of) => select(part, first, of[k]), t);
  const picked = Array.from({ length: count(shape) }, (_, k) => unsqueeze(pick(k), first));
  return view(cat(picked, first), [...before, ...shape, ...after]);
}

// Where in a tensor's data each place along one dimension points, in the order of the places.
function pointers(t, dim, places) {
  dim = dimension(dim, t.shape.length);
  const steps = rowMajor(places.shape);
  return numbers(places).map((place, k) => {
    const along = (step, i) => t.strides[i] * (i === dim ? place : Math.floor(k / step) % places.shape[i]);
    return steps.reduce((at, step, i) => at + along(step, i), t.offset);
  });
}

function gather(t, dim, places) {
  return tensor(pointers(t, dim, places).map((at) => t.data[at]), places.shape);
}

function scatter(t, dim, places, source) {
  const whole = tensor(Float32Array.from(numbers(t)), t.shape);
  const values = numbers(source);
  pointers(whole, dim, places).forEach((at, k) => (whole.data[at] = values[k]));
  return whole;
}

// t with a part of it replaced: part(t) gives the part as a view.
function replaced(t, part, source) {
  const whole = tensor(Float32Array.from(numbers(t)), t.shape);
  const there = part(whole);
  const values = numbers(expand(source, there.shape));
  const at = numbers(part(tensor(Float32Array.from(whole.data, (_, i) => i), t.shape)));
  for (let k = 0; k < values.length; k++) whole.data[at[k]] = values[k];
  return whole;
}

function triangle(keep) {
  return (t, diagonal = 0) => {
    const [rows, columns] = t.shape.slice(-2);
    const result = Float32Array.from(numbers(t), (value, k) => {
      const distance = (k % columns) - (Math.floor(k / columns) % rows) - diagonal;
      return keep(distance) ? value : 0;
    });
    return tensor(result, t.shape);
  };
}

// Matrices ------------------------------------------------------------------------------------------------------------

// scale * start + factor * a b: a (..., rows, inner), b (..., inner, columns), batched alike.
function product(a, b, start, scale = 1, factor = 1) {
  const lift = (t) => (t.shape.length === 2 ? unsqueeze(t, 0) : t);
  const shape = [...a.shape.slice(0, -1), b.shape.at(-1)];
  const from = start && scale !== 0 ? lift(expand(scaled(start, scale), shape)) : undefined;
  return tensor(multiplyMatrices(lift(scaled(a, factor)), lift(b), from), shape);
}

const column = (t) => unsqueeze(t, -1);

// Apply a function to each matrix (rows, columns) of some batches of them, as arrays of float64.
function eachMatrix(batches, change) {
  const values = batches.map((t) => Float64Array.from(numbers(t)));
  const sizes = batches.map((t) => t.shape.at(-2) * t.shape.at(-1));
  const n = count(batches[0].shape.slice(0, -2));
  for (let k = 0; k < n; k++) change(...values.map((all, i) => all.subarray(k * sizes[i], (k + 1) * sizes[i])));
  return batches.map((t, i) => tensor(Float32Array.from(values[i]), t.shape));
}

// The lower triangle L with L L' = t, whose place in memory it takes.
function cholesky(t) {
  const n = t.shape.at(-1);
  const lower = eachMatrix([triangle((distance) => distance <= 0)(t)], (a) => {
    for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) {
      for (let k = 0; k < j; k++) a[i * n + j] -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i === j ? Math.sqrt(a[i * n + i]) : a[i * n + j] / a[j * n + j];
    }
  });
  return [lower[0], filled(t.shape.slice(0, -2), 0)];
}

// x with matrix x = right, for a triangular matrix, row after row.
function solveTriangular(matrix, right, upper) {
  const [n, columns] = right.shape.slice(-2);
  return eachMatrix([right, matrix], (x, a) => {
    for (let step = 0; step < n; step++) {
      const i = upper ? n - 1 - step : step;
      const [first, end] = upper ? [i + 1, n] : [0, i];
      for (let c = 0; c < columns; c++) {
        for (let k = first; k < end; k++) x[i * columns + c] -= a[i * n + k] * x[k * columns + c];
        x[i * columns + c] /= a[i * n + i];
      }
    }
  })[0];
}

function choleskySolve(right, factor, upper = false) {
  const [first, second] = upper ? [transpose(factor, -2, -1), factor] : [factor, transpose(factor, -2, -1)];
  return solveTriangular(second, solveTriangular(first, right, false), true);
}

// Q with orthogonal columns and R an upper triangle, Q R = t, by Gram and Schmidt. PyTorch's may have other signs.
function qr(t) {
  const [rows, columns] = t.shape.slice(-2);
  if (rows < columns) throw new Error(`linalg_qr of ${rows} rows and ${columns} columns; only tall matrices are known`);
  return eachMatrix([t, filled([...t.shape.slice(0, -2), columns, columns], 0)], (q, r) => {
    const along = (j, k) => {
      let sum = 0;
      for (let i = 0; i < rows; i++) sum += q[i * columns + j] * q[i * columns + k];
      return sum;
    };
    for (let j = 0; j < columns; j++) {
      for (let pass = 0; pass < 2; pass++) for (let k = 0; k < j; k++) {
        const size = along(k, j);
        r[k * columns + j] += size;
        for (let i = 0; i < rows; i++) q[i * columns + j] -= size * q[i * columns + k];
      }
      const length = (r[j * columns + j] = Math.sqrt(along(j, j)));
      for (let i = 0; i < rows; i++) q[i * columns + j] /= length;
    }
  });
}

// Convolution in two dimensions, groups of channels one after the other: the patches as columns of a matrix.
function convolution(x, weight, bias, stride, padding, dilation, transposed, _, groups) {
  if (transposed || x.shape.length !== 4) throw new Error("only forward convolutions in two dimensions are known");
  const [n, , height, width] = x.shape;
  const [filters, channels, tall, wide] = weight.shape;
  const [high, across] = [height, width].map((size, i) => {
    const reach = dilation[i] * ([tall, wide][i] - 1) + 1;
    return Math.floor((size + 2 * padding[i] - reach) / stride[i]) + 1;
  });
  const parts = Array.from({ length: groups }, (__, g) => {
    const mine = slice(x, 1, g * channels, (g + 1) * channels);
    const patches = patchesOf(mine, [tall, wide], [high, across], stride, padding, dilation);
    const own = view(slice(weight, 0, (g * filters) / groups, ((g + 1) * filters) / groups), [filters / groups, -1]);
    return product(expand(unsqueeze(own, 0), [n, ...own.shape]), patches);
  });
  const result = view(cat(parts, 1), [n, filters, high, across]);
  return bias ? elementwise(BINARY.add, [result, view(bias, [-1, 1, 1])]) : result;
}

// (image, channel and place in the filter, place in the result): what each filter sees, zeros outside.
function patchesOf(images, [tall, wide], [high, across], stride, padding, dilation) {
  const { data, shape: [n, channels, height, width], strides, offset } = images;
  const result = new Float32Array(n * channels * tall * wide * high * across);
  let k = 0;
  for (let image = 0; image < n; image++) for (let c = 0; c < channels; c++) {
    const from = offset + image * strides[0] + c * strides[1];
    for (let v = 0; v < tall; v++) for (let u = 0; u < wide; u++) {
      for (let i = 0; i < high; i++) for (let j = 0; j < across; j++, k++) {
        const y = i * stride[0] - padding[0] + v * dilation[0];
        const x = j * stride[1] - padding[1] + u * dilation[1];
        if (y >= 0 && y < height && x >= 0 && x < width) result[k] = data[from + y * strides[2] + x * strides[3]];
      }
    }
  }
  return tensor(result, [n, channels * tall * wide, high * across]);
}

// The operators -------------------------------------------------------------------------------------------------------

const OPERATORS = {
  full: (shape, value) => filled(shape, number(value)),
  zeros: (shape) => filled(shape, 0),
  ones: (shape) => filled(shape, 1),
  full_like: (t, value) => filled(t.shape, number(value)),
  zeros_like: (t) => filled(t.shape, 0),
  ones_like: (t) => filled(t.shape, 1),
  new_zeros: (t, shape) => filled(shape, 0),
  new_ones: (t, shape) => filled(shape, 1),
  new_full: (t, shape, value) => filled(shape, number(value)),
  arange: arange,
  add: (a, b, { alpha = 1 } = {}) => elementwise(BINARY.add, [a, scaled(b, alpha)]),
  sub: (a, b, { alpha = 1 } = {}) => elementwise(BINARY.sub, [a, scaled(b, alpha)]),
  addcmul: (a, b, c, { value = 1 } = {}) => elementwise(TERNARY.addcmul, [a, b, c], value),
  addcdiv: (a, b, c, { value = 1 } = {}) => elementwise(TERNARY.addcdiv, [a, b, c], value),
  truediv: (a, b) => a / b,
  clamp: clamp,
  masked_fill: (t, mask, value) => elementwise(TERNARY.where, [mask, value, t]),
  view: view,
  reshape: view,
  _unsafe_view: view,
  expand: expand,
  expand_as: (t, other) => expand(t, other.shape),
  copy: (t, source) => expand(source, t.shape),
  permute: permute,
  transpose: transpose,
  t: (t) => (t.shape.length < 2 ? t : transpose(t, 0, 1)),
  select: select,
  diagonal: diagonal,
  slice: slice,
  unsqueeze: unsqueeze,
  squeeze: squeeze,
  split: split,
  split_with_sizes: split,
  unbind: unbind,
  getitem: (list, i) => list[i],
  sym_size: (t, dim) => t.shape[dimension(dim, t.shape.length)],
  sym_numel: (t) => count(t.shape),
  cat: cat,
  stack: (tensors, dim = 0) => cat(tensors.map((t) => unsqueeze(t, dim)), dim),
  index_select: indexSelect,
  index: index,
  gather: gather,
  slice_scatter: (t, source, ...where) => replaced(t, (whole) => slice(whole, ...where), source),
  select_scatter: (t, source, ...where) => replaced(t, (whole) => select(whole, ...where), source),
  diagonal_scatter: (t, source, ...where) => replaced(t, (whole) => diagonal(whole, ...where), source),
  "scatter.src": scatter,
  "scatter.value": (t, dim, places, value) => scatter(t, dim, places, filled(places.shape, value)),
  tril: triangle((distance) => distance <= 0),
  triu: triangle((distance) => distance >= 0),
  "max.dim": (t, dim, keep) => ["amax", "argmax"].map((name) => reduce(REDUCTIONS[name], t, dim, keep)),
  "min.dim": (t, dim, keep) => ["amin", "argmin"].map((name) => reduce(REDUCTIONS[name], t, dim, keep)),
  "max.other": (a, b) => elementwise(BINARY.maximum, [a, b]),
  "min.other": (a, b) => elementwise(BINARY.minimum, [a, b]),
  max: (t) => reduce(REDUCTIONS.amax, t),
  min: (t) => reduce(REDUCTIONS.amin, t),
  var: (t, dims, { correction = 1, keepdim = false } = {}) => variance(t, dims, correction, keepdim),
  _softmax: (t, dim) => alongRows(t, dim, softmaxRow),
  _log_softmax: (t, dim) => alongRows(t, dim, logSoftmaxRow),
  cumsum: (t, dim) => alongRows(t, dim, cumulate),
  native_layer_norm: layerNorm,
  mm: (a, b) => product(a, b),
  bmm: (a, b) => product(a, b),
  addmm: (start, a, b, { beta = 1, alpha = 1 } = {}) => product(a, b, start, beta, alpha),
  baddbmm: (start, a, b, { beta = 1, alpha = 1 } = {}) => product(a, b, start, beta, alpha),
  mv: (a, b) => squeeze(product(a, column(b)), -1),
  addmv: (start, a, b, { beta = 1, alpha = 1 } = {}) => squeeze(product(a, column(b), column(start), beta, alpha), -1),
  dot: (a, b) => view(product(unsqueeze(a, 0), column(b)), []),
  linalg_cholesky_ex: cholesky,
  linalg_solve_triangular: (matrix, right, { upper }) => solveTriangular(matrix, right, upper),
  cholesky_solve: choleskySolve,
  linalg_qr: qr,
  convolution: convolution,
};

function arange(...bounds) {
  const [start, end, step = 1] = bounds.length === 1 ? [0, bounds[0]] : bounds;
  const length = Math.max(0, Math.ceil((end - start) / step));
  return tensor(Float32Array.from({ length }, (_, i) => start + i * step), [length]);
}

function operatorNamed(name) {
  if (Object.hasOwn(OPERATORS, name)) return OPERATORS[name];
  if (Object.hasOwn(UNARY, name)) return (a) => elementwise(UNARY[name], [a]);
  if (Object.hasOwn(BINARY, name)) return (a, b) => elementwise(BINARY[name], [a, b]);
  if (Object.hasOwn(TERNARY, name)) return (a, b, c) => elementwise(TERNARY[name], [a, b, c]);
  if (Object.hasOwn(REDUCTIONS, name)) return (t, dims, keep) => reduce(REDUCTIONS[name], t, dims, keep);
  throw new Error(`the program has the operator "${name}", which the interpreter lacks`);
}

// Programs ------------------------------------------------------------------------------------------------------------

// An argument as a function of the values so far: {"$": i} is value i, an array or an object holds arguments.
function argument(written) {
  if (typeof written === "string" && /^-?Infinity$|^NaN$/.test(written)) return () => Number(written);
  if (Array.isArray(written)) {
    const parts = written.map(argument);
    return (values) => parts.map((part) => part(values));
  }
  if (typeof written !== "object" || written === null) return () => written ?? undefined;
  if ("$" in written) return (values) => values[written.$];
  const entries = Object.entries(written).map(([name, part]) => [name, argument(part)]);
  return (values) => Object.fromEntries(entries.map(([name, part]) => [name, part(values)]));
}

function constant([shape, bytes]) {
  const raw = Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0));
  return tensor(new Float32Array(raw.buffer), shape);
}

// A node as a function of the values so far.
function prepareNode([name, args, keywords]) {
  if (name === "constant") {
    const value = constant(args);
    return () => value;
  }
  const operator = operatorNamed(name);
  const parts = [...args, ...(keywords ? [keywords] : [])].map(argument);
  return (values) => operator(...parts.map((part) => part(values)));
}

// A stage as a function of the environment, into which it puts what it makes.
function prepareStage({ name, inputs, nodes, outputs, times, extra, collect }) {
  const steps = nodes.map(prepareNode);
  const once = (environment) => {
    const values = inputs.map((input) => {
      if (!(input in environment)) throw new Error(`stage "${name}" reads "${input}", which is not there`);
      return environment[input];
    });
    for (const step of steps) values.push(step(values));
    for (const output in outputs) environment[output] = asTensor(values[outputs[output]]);
  };
  return (environment) => {
    const repetitions = (times ? Math.round(number(environment[times])) : 1) + extra;
    const collected = Object.keys(collect).map((many) => [many, collect[many], []]);
    for (let k = 0; k < repetitions; k++) {
      once(environment);
      for (const [, one, values] of collected) values.push(environment[one]);
    }
    for (const [many, , values] of collected) if (values.length) environment[many] = OPERATORS.stack(values);
  };
}

const tensors = (values) => Object.fromEntries(Object.entries(values).map(([name, value]) => [name, asTensor(value)]));

// Make a traced program ready: run(inputs) gives the frame, {name: {data, shape}}. Throws for an unknown operator.
// Piece by piece: environment = run.start(inputs), run.stage(index, environment) as often as one likes with what is
// carried there, and run.read(environment) for the outputs.
export function prepare(program, constants = {}) {
  const stages = program.stages.map(prepareStage);
  const fixed = tensors(constants);
  const start = (inputs) => ({ ...fixed, ...tensors(inputs) });
  const stage = (index, environment) => stages[index](environment);
  const plain = (t) => ({ data: numbers(t), shape: t.shape });
  const read = (environment, names = program.outputs) =>
    Object.fromEntries(names.map((name) => [name, plain(environment[name])]));
  const run = (inputs) => {
    const environment = start(inputs);
    for (const each of stages) each(environment);
    return read(environment);
  };
  return Object.assign(run, { start, stage, read });
}
