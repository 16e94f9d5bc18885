// Where frames come from: a traced program that runs in the page, or the kernel.
import { prepare } from "./program.js";

/** The inputs of a program: every field of the state as numbers; a choice is the place of its option. */
export function inputsOf(state, fields) {
  const inputs = Object.entries(state).map(([name, value]) => {
    const { options } = fields[name];
    return [name, options ? options.findIndex(([option]) => option === value) : value];
  });
  return Object.fromEntries(inputs.filter(([, value]) => typeof value !== "string"));
}

/** The arrays of a specification, read from its bytes: {name: {data, shape}}. */
export function arraysOf(layout, buffer) {
  return Object.fromEntries(layout.map(([name, shape, offset]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return [name, { data: new Float32Array(buffer, 4 * offset, size), shape }];
  }));
}

/** Computes in the page: a move sends nothing to anybody. */
export class ProgramSource {
  constructor(spec, buffer) {
    const constants = arraysOf(spec.constants, buffer);
    this.fields = spec.fields;
    this.fixed = constants;
    this.run = prepare(spec.program, constants);
    if (spec.later) {
      const slow = prepare(spec.later, constants);
      this.later = async (state) => slow(this.inputs(state));
    }
  }

  inputs(state) { return inputsOf(state, this.fields); }

  /** The frame: what the program makes, and beside it what is fixed and the lists of the state. */
  compute(state) { return { ...this.fixed, ...listsOf(state), ...this.run(this.inputs(state)) }; }
}

/** The lists of a state as arrays. */
const listsOf = (state) => Object.fromEntries(Object.entries(state)
  .filter(([, value]) => Array.isArray(value)).map(([name, value]) => [name, { data: Float32Array.from(value), shape: [value.length] }]));

/** Asks the kernel, one question at a time; answers are frames, their arrays in one buffer. */
export class KernelSource {
  /** `model` is anywidget's, or null on a page without a kernel: there is the first frame, and nothing to move. */
  constructor(spec, buffer, model) {
    Object.assign(this, { model, asked: 0, waiting: new Map() });
    this.begun = JSON.stringify(spec.state);
    this.first = { ...spec.first.values, ...arraysOf(spec.first.layout, buffer) };
    model?.on("msg:custom", (head, buffers) => this.heard(head, buffers));
  }

  async compute(state) {
    if (JSON.stringify(state) === this.begun) return { ...listsOf(state), ...this.first };
    if (!this.model) throw new Error("It computes in the kernel: press Shift+Enter in its cell, and move it there.");
    const id = ++this.asked;
    return new Promise((resolve, reject) => {
      const silent = setTimeout(() => this.waits?.(), PATIENCE);
      this.waiting.set(id, { resolve, reject, silent, state });
      this.model.send({ id, state });
    });
  }

  heard({ id, values, layout, problem }, buffers) {
    const { resolve, reject, silent, state } = this.waiting.get(id) ?? {};
    if (!resolve) return;
    clearTimeout(silent);
    this.waiting.delete(id);
    if (problem) reject(new Error(`This could not be computed (${problem}). Press undo or reset.`));
    else resolve({ ...listsOf(state), ...values, ...arraysOf(layout, aligned(buffers[0])) });
  }
}

const PATIENCE = 4000; // ms until a kernel that says nothing is thought to be busy, or gone

/** Bytes as they come over a wire, which need not lie where numbers may: a copy does. */
export const aligned = (view) => (view ? view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength) : new ArrayBuffer(0));
