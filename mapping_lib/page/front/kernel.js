// Products of matrices, C += A B for a batch of them: in WebAssembly where the page allows it, else in JavaScript.

// gemm.wat, assembled: pip install wasmtime, then
// python -c "import base64, wasmtime; print(base64.b64encode(wasmtime.wat2wasm(open('gemm.wat').read())).decode())"
const WASM =
  "AGFzbQEAAAABDQFgCX9/f39/f39/fwADAgEABQMBAAQHFQIGbWVtb3J5AgAIbXVsdGlwbHkAAAq1BAGyBAQIfwF7AX0EeyADQQJ0IQ0CQANA" +
  "IAkgAE8NAUEAIQoCQANAIAogAU8NAUEAIQwgBCAJIAVsaiAKQQFqIAJsQQJ0aiEQAkADQCAMQRBqIANLDQEgECACQQJ0ayEOIAYgCSAHbGog" +
  "DEECdGohDyAI/QAEACETIAj9AAQQIRQgCP0ABCAhFSAI/QAEMCEWAkADQCAOIBBPDQEgDv0JAgAhESATIBEgD/0ABAD95gH95AEhEyAUIBEg" +
  "D/0ABBD95gH95AEhFCAVIBEgD/0ABCD95gH95AEhFSAWIBEgD/0ABDD95gH95AEhFiAOQQRqIQ4gDyANaiEPDAALCyAIIBP9CwQAIAggFP0L" +
  "BBAgCCAV/QsEICAIIBb9CwQwIAhBwABqIQggDEEQaiEMDAALCwJAA0AgDEEEaiADSw0BIBAgAkECdGshDiAGIAkgB2xqIAxBAnRqIQ8gCP0A" +
  "BAAhEwJAA0AgDiAQTw0BIBMgDv0JAgAgD/0ABAD95gH95AEhEyAOQQRqIQ4gDyANaiEPDAALCyAIIBP9CwQAIAhBEGohCCAMQQRqIQwMAAsL" +
  "AkADQCAMIANPDQEgECACQQJ0ayEOIAYgCSAHbGogDEECdGohDyAIKgIAIRICQANAIA4gEE8NASASIA4qAgAgDyoCAJSSIRIgDkEEaiEOIA8g" +
  "DWohDwwACwsgCCASOAIAIAhBBGohCCAMQQFqIQwMAAsLIApBAWohCgwACwsgCUEBaiEJDAALCwsAqwIEbmFtZQJ1AQAXAAViYXRjaAEEcm93" +
  "cwIFaW5uZXIDB2NvbHVtbnMEAUEFCEFfc3RyaWRlBgFCBwhCX3N0cmlkZQgBQwkBdAoDcm93CwFpDAFqDQV3aWR0aA4BYQ8BYhAFYV9lbmQR" +
  "AXYSAXMTAmMwFAJjMRUCYzIWAmMzA6wBAQAQAAdiYXRjaGVzAQplYWNoX2JhdGNoAglyb3dzX2RvbmUDCGVhY2hfcm93BAxzaXh0ZWVuX2Rv" +
  "bmUFB3NpeHRlZW4GCmlubmVyX2RvbmUHCmVhY2hfaW5uZXIICWZvdXJfZG9uZQkEZm91cgoKaW5uZXJfZG9uZQsKZWFjaF9pbm5lcgwIb25l" +
  "X2RvbmUNA29uZQ4KaW5uZXJfZG9uZQ8KZWFjaF9pbm5lcg==";

// Both kernels compute in one memory of float32 numbers, into which A, B and C are packed: places and distances from
// one matrix to the next (0 where all share one) count numbers. Nothing skips zeros: 0 times infinity is not a number.

// Four rows of B at once, so that C is read and written less often.
function addFourRows(memory, a, b, C, columns) {
  const b1 = b + columns, b2 = b1 + columns, b3 = b2 + columns;
  const f0 = memory[a], f1 = memory[a + 1], f2 = memory[a + 2], f3 = memory[a + 3];
  for (let j = 0; j < columns; j++) {
    memory[C + j] += f0 * memory[b + j] + f1 * memory[b1 + j] + f2 * memory[b2 + j] + f3 * memory[b3 + j];
  }
}

function javascriptKernel() {
  let numbers = new Float32Array(1 << 16);
  return {
    name: "JavaScript",
    memory(size) {
      if (numbers.length < size) numbers = new Float32Array(2 * size);
      return numbers;
    },
    multiply(batch, rows, inner, columns, A, aStep, B, bStep, C) {
      const memory = numbers;
      for (let t = 0; t < batch; t++) {
        for (let row = 0; row < rows; row++, C += columns) {
          let a = A + t * aStep + row * inner;
          let b = B + t * bStep;
          const end = a + inner;
          for (; a + 4 <= end; a += 4, b += 4 * columns) addFourRows(memory, a, b, C, columns);
          for (; a < end; a++, b += columns) {
            const factor = memory[a];
            for (let j = 0; j < columns; j++) memory[C + j] += factor * memory[b + j];
          }
        }
      }
    },
  };
}

function wasmKernel() {
  const bytes = Uint8Array.from(atob(WASM), (character) => character.charCodeAt(0));
  const { memory, multiply } = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
  let numbers = new Float32Array(memory.buffer);
  return {
    name: "WebAssembly",
    memory(size) {
      if (numbers.length < size) {
        memory.grow(Math.ceil((4 * size - memory.buffer.byteLength) / 65536));
        numbers = new Float32Array(memory.buffer);
      }
      return numbers;
    },
    multiply: (batch, rows, inner, columns, A, aStep, B, bStep, C) =>
      multiply(batch, rows, inner, columns, 4 * A, 4 * aStep, 4 * B, 4 * bStep, 4 * C),
  };
}

let kernel;

// Choose a kernel, and say which it is. A page's security policy or an old browser may refuse WebAssembly.
export function chooseKernel(wasm = true) {
  try {
    kernel = wasm ? wasmKernel() : javascriptKernel();
  } catch {
    kernel = javascriptKernel();
  }
  return kernel.name;
}

// Copy the first matrices of a batch {data, shape (batch, rows, columns), strides, offset} to a place in the memory.
function pack(memory, place, count, { data, shape: [, rows, columns], strides: [far, down, right], offset }) {
  const rowsAreWhole = right === 1 && (down === columns || rows === 1);
  if (rowsAreWhole && (far === rows * columns || count === 1)) {
    memory.set(data.subarray(offset, offset + count * rows * columns), place);
    return;
  }
  for (let t = 0; t < count; t++) {
    for (let i = 0; i < rows; i++, place += columns) {
      const at = offset + t * far + i * down;
      if (right === 1) for (let j = 0; j < columns; j++) memory[place + j] = data[at + j];
      else for (let j = 0; j < columns; j++) memory[place + j] = data[at + j * right];
    }
  }
}

// The numbers of start + a b: a (batch, rows, inner), b (batch, inner, columns), start (batch, rows, columns) or none.
export function multiplyMatrices(a, b, start) {
  const [batch, rows, inner] = a.shape;
  const columns = b.shape[2];
  const aCount = a.strides[0] === 0 ? 1 : batch;
  const bCount = b.strides[0] === 0 ? 1 : batch;
  const B = aCount * rows * inner;
  const C = B + bCount * inner * columns;
  const end = C + batch * rows * columns;
  const memory = kernel.memory(end);
  pack(memory, 0, aCount, a);
  pack(memory, B, bCount, b);
  if (start) pack(memory, C, batch, start);
  else memory.fill(0, C, end);
  const aStep = aCount > 1 ? rows * inner : 0;
  const bStep = bCount > 1 ? inner * columns : 0;
  kernel.multiply(batch, rows, inner, columns, 0, aStep, B, bStep, C);
  return memory.slice(C, end);
}

chooseKernel();
