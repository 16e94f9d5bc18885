// Tensors: {data, shape, strides, offset}, views of a Float32Array. Truth values and whole numbers are float32, too.
// Nothing is written into a tensor once it is made.

// Tensors -----------------------------------------------------------------------------------------------------------

export const count = (shape) => shape.reduce((n, size) => n * size, 1);

export function rowMajor(shape) {
  const strides = shape.slice();
  for (let i = shape.length - 1, step = 1; i >= 0; step *= shape[i--]) strides[i] = step;
  return strides;
}

export const tensor = (data, shape) => ({ data, shape, strides: rowMajor(shape), offset: 0 });

export const isTensor = (value) => typeof value === "object" && value !== null && "shape" in value;

export const filled = (shape, value) => tensor(new Float32Array(count(shape)).fill(value), shape);

export const scalar = (value) => tensor(Float32Array.of(value), []);

export const number = (value) => (isTensor(value) ? value.data[value.offset ?? 0] : value);

// A tensor of a number, of nested arrays of numbers, of a Float32Array, of {data, shape} or of a tensor.
export function asTensor(value) {
  if (typeof value === "number" || typeof value === "boolean") return scalar(Number(value));
  if (isTensor(value)) return "strides" in value ? value : tensor(Float32Array.from(value.data), value.shape);
  if (ArrayBuffer.isView(value)) return tensor(Float32Array.from(value), [value.length]);
  const shape = [];
  for (let part = value; Array.isArray(part); part = part[0]) shape.push(part.length);
  return tensor(Float32Array.from(value.flat(Infinity)), shape);
}

function isContiguous({ shape, strides }) {
  for (let i = shape.length - 1, step = 1; i >= 0; step *= shape[i--]) {
    if (shape[i] !== 1 && strides[i] !== step) return false;
  }
  return true;
}

// The numbers of a tensor in order: a view where they lie so, else a copy.
export function numbers(t) {
  const size = count(t.shape);
  const isWhole = t.offset === 0 && t.data.length === size;
  if (isContiguous(t)) return isWhole ? t.data : t.data.subarray(t.offset, t.offset + size);
  const result = new Float32Array(size);
  copyInto(result, t);
  return result;
}

export function copyInto(result, { data, shape, strides, offset }) {
  if (result.length) copyFrom(0, offset, result, 0, data, shape, strides);
}

// Copy what lies at ``at`` along the dimensions from ``dim`` on to place k of the result; give the next place.
function copyFrom(dim, at, result, k, data, shape, strides) {
  const step = strides[dim] ?? 0;
  const n = shape[dim] ?? 1;
  if (dim < shape.length - 1) {
    for (let i = 0; i < n; i++, at += step) k = copyFrom(dim + 1, at, result, k, data, shape, strides);
    return k;
  }
  if (step === 1) for (let i = 0; i < n; i++) result[k + i] = data[at + i];
  else for (let i = 0; i < n; i++) result[k + i] = data[at + i * step];
  return k + n;
}

// Views -------------------------------------------------------------------------------------------------------------

export const dimension = (dim, rank) => (dim < 0 ? dim + rank : dim);

export const inserted = (list, at, ...values) => [...list.slice(0, at), ...values, ...list.slice(at)];

export const without = (list, at) => list.filter((_, i) => i !== at);

export function view(t, shape) {
  const hole = shape.indexOf(-1);
  if (hole >= 0) shape = shape.with(hole, count(t.shape) / count(without(shape, hole)));
  return tensor(numbers(t), shape);
}

export function expand(t, shape) {
  const more = shape.length - t.shape.length;
  const sizes = shape.map((size, i) => (size === -1 ? t.shape[i - more] : size));
  const strides = sizes.map((size, i) => {
    if (i < more || (t.shape[i - more] === 1 && size !== 1)) return 0;
    if (t.shape[i - more] !== size) throw new Error(`shape (${t.shape}) does not broadcast to (${shape})`);
    return t.strides[i - more];
  });
  return { ...t, shape: sizes, strides };
}

export function permute(t, order) {
  const dims = order.map((dim) => dimension(dim, t.shape.length));
  return { ...t, shape: dims.map((i) => t.shape[i]), strides: dims.map((i) => t.strides[i]) };
}

export function transpose(t, first, second) {
  const order = t.shape.map((_, i) => i);
  const [i, j] = [first, second].map((dim) => dimension(dim, order.length));
  [order[i], order[j]] = [order[j], order[i]];
  return permute(t, order);
}

export function select(t, dim, index) {
  dim = dimension(dim, t.shape.length);
  index = dimension(number(index), t.shape[dim]);
  const offset = t.offset + index * t.strides[dim];
  return { ...t, offset, shape: without(t.shape, dim), strides: without(t.strides, dim) };
}

export function diagonal(t, offset = 0, first = 0, second = 1) {
  const [i, j] = [first, second].map((dim) => dimension(dim, t.shape.length));
  if (offset !== 0) throw new Error("only the main diagonal is known");
  const rest = (list) => list.filter((_, k) => k !== i && k !== j);
  const shape = [...rest(t.shape), Math.min(t.shape[i], t.shape[j])];
  return { ...t, shape, strides: [...rest(t.strides), t.strides[i] + t.strides[j]] };
}

export function slice(t, dim = 0, start = 0, end = Infinity, step = 1) {
  dim = dimension(dim, t.shape.length);
  const size = t.shape[dim];
  const clip = (place) => Math.max(0, Math.min(size, dimension(place, size)));
  const from = clip(start ?? 0);
  const length = Math.max(0, Math.ceil((clip(end ?? Infinity) - from) / step));
  const offset = t.offset + from * t.strides[dim];
  return { ...t, offset, shape: t.shape.with(dim, length), strides: t.strides.with(dim, step * t.strides[dim]) };
}

export function unsqueeze(t, dim) {
  dim = dimension(dim, t.shape.length + 1);
  return { ...t, shape: inserted(t.shape, dim, 1), strides: inserted(t.strides, dim, 0) };
}

export function squeeze(t, dims) {
  const every = t.shape.map((_, i) => i);
  const chosen = dims === undefined ? every : [dims].flat().map((dim) => dimension(dim, every.length));
  const kept = every.filter((i) => !(chosen.includes(i) && t.shape[i] === 1));
  return { ...t, shape: kept.map((i) => t.shape[i]), strides: kept.map((i) => t.strides[i]) };
}

export function split(t, sizes, dim = 0) {
  const whole = t.shape[dimension(dim, t.shape.length)];
  const parts = Array.isArray(sizes) ? sizes : Array.from({ length: Math.ceil(whole / sizes) }, () => sizes);
  let end = 0;
  return parts.map((size) => slice(t, dim, end, (end += size)));
}

export function unbind(t, dim = 0) {
  return Array.from({ length: t.shape[dimension(dim, t.shape.length)] }, (_, i) => select(t, dim, i));
}
