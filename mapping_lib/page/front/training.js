// Meta-training in the page: a traced outer step, run again and again by a worker, so that hand and picture stay free.
/* global workerSource */
import { prepare } from "./program.js";
import { filled, valuesOf } from "./sentence.js";
import { numbers } from "./tensors.js";

const SLICE = 40; // ms of training between two pictures, or twice as long as the evaluation takes
const MOST_EARLIER = 6;
const WORTH_KEEPING = 50; // outer steps: shorter runs are not kept, since a slider passes through many
const REST = 250; // ms without a new value of what begins a run, until it begins

/** The n numbers of one step, evenly spread over 0 ... 1, as mapping_lib/page/draws.py draws them. */
export function uniform(seed, step, n) {
  const begin = Math.imul(seed, 0x9e3779b9) + Math.imul(step, 0x85ebca6b);
  return Float32Array.from({ length: n }, (_, i) => {
    let h = (begin + i) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return ((h ^ (h >>> 16)) >>> 8) / 2 ** 24;
  });
}

/** One run from theta_0. `inputs` are the numbers of the state; those that are live may change on the way. */
export class Trainer {
  constructor({ programs, evaluate, draws, tasks, outer_steps }, arrays, inputs, method) {
    Object.assign(this, { draws, tasks, outer_steps, inputs, done: 0 });
    const program = programs[method] ?? Object.values(programs)[0];
    this.step = prepare(program, arrays);
    this.length = program.stages.length;
    this.look = prepare(evaluate, arrays);
    this.environment = this.begun();
    this.step.stage(0, this.environment); // step sizes and the like are there before the first step
  }

  /** The environment at the beginning of an outer step: numbers, draws, constants. */
  begun() { return this.step.start({ ...this.inputs, count: this.done, ...this.drawn(this.done) }); }

  /** The random numbers of an outer step, by name. */
  drawn(step) {
    const tasks = this.inputs[this.tasks] ?? this.tasks;
    let from = 0;
    const all = uniform(this.inputs.seed, step, tasks * Object.values(this.draws).reduce((a, b) => a + b, 0));
    return Object.fromEntries(Object.entries(this.draws).map(([name, each]) => {
      const data = all.slice(from, (from += tasks * each));
      return [name, { data, shape: [tasks, each] }];
    }));
  }

  /** Take outer steps for some ms, one at least. */
  advance(ms) {
    const end = performance.now() + ms;
    do {
      this.done += 1;
      this.environment = { ...this.begun(), ...this.named(/^(theta|first|second)\./) };
      for (let i = 0; i < this.length; i++) this.step.stage(i, this.environment);
    } while (this.done < this.outer_steps && performance.now() < end);
  }

  /** The part of the environment whose names match. */
  named(pattern) { return Object.fromEntries(Object.entries(this.environment).filter(([name]) => pattern.test(name))); }

  /** The evaluation of the present theta, and the theta itself. */
  report() {
    const theta = Object.entries(this.named(/^theta\./)).map(([name, t]) => [name, { data: Float32Array.from(numbers(t)), shape: t.shape }]);
    return { done: this.done, theta: Object.fromEntries(theta), ...this.look({ ...this.inputs, ...this.named(/^(theta|rates)\./) }) };
  }
}

/** In a worker: {begin}, {tell} and {stop} come in, reports go out. */
export function serve(scope) {
  let [trainer, running, pace] = [null, false, SLICE];
  const slice = () => {
    if (!running) return;
    trainer.advance(pace);
    running = trainer.done < trainer.outer_steps;
    const begun = performance.now();
    scope.postMessage(trainer.report());
    pace = Math.max(SLICE, 2 * (performance.now() - begun));
    if (running) setTimeout(slice, 0);
  };
  scope.onmessage = ({ data: { begin, tell, run } }) => {
    if (begin) trainer = new Trainer(...begin);
    if (tell) Object.assign(trainer.inputs, tell);
    if (run !== undefined && run !== running) {
      running = run;
      if (running) setTimeout(slice, 0);
    }
  };
}

/** A worker, or where the page lets none start, something like it that works between two pictures. */
function worker() {
  try {
    return new Worker(URL.createObjectURL(new Blob([workerSource], { type: "text/javascript" })));
  } catch {
    const outside = { postMessage: (data) => inside.onmessage({ data }), terminate() { inside.postMessage = () => {}; } };
    const inside = { postMessage: (data) => outside.onmessage({ data }) };
    serve(inside);
    return outside;
  }
}

/** A source whose frames come from a run that goes on while the reader watches. */
export class TrainingSource {
  constructor(spec, arrays, inputsOf) {
    Object.assign(this, { spec: spec.runs, fixed: arrays, inputsOf, fields: spec.fields, earlier: [], running: false });
    if (spec.program) this.look = prepare(spec.program, arrays);
    if (!spec.later) return;
    const slow = prepare(spec.later, arrays);
    this.later = async (state) => slow(this.given(state));
  }

  close() { clearTimeout(this.waiting); this.stop(); this.worker?.terminate(); }

  inputs(state) { return this.inputsOf(state, this.fields); }

  /** What a program that draws the present run is given: the state, the theta, its error, and what the run began with. */
  given(state) {
    const { last, began } = this.run;
    const run = Object.entries(began).map(([name, value]) => [`run_${name}`, value]);
    return { ...this.inputs(state), ...last.theta, now: last.now, ...Object.fromEntries(run) };
  }

  /** The frame of a state: that of its run, or of theta_0 where it has none yet. */
  compute(state) {
    if (!this.run) this.restart(state);
    return this.frame(state);
  }

  /** Forget the present run, or keep it as an earlier one, and stand at theta_0 of the next, or at the run made beforehand. */
  restart(state) {
    if (this.run?.outer.at(-1) >= WORTH_KEEPING) this.earlier = [...this.earlier, this.run].slice(-MOST_EARLIER);
    this.stop();
    this.worker?.terminate();
    this.worker = null;
    if (this.spec.begun && !this.differs(state, this.spec.begun)) {
      this.run = this.beforehand(state);
      return;
    }
    const began = this.inputs(state);
    const begin = [this.spec, this.fixed, began, state[this.spec.by]];
    const first = new Trainer(...begin).report();
    this.run = { outer: [0], error: [first.now.data], name: this.named(state), last: first, begin, began };
  }

  /** Whether a state asks for another run than that which began with `began`. */
  differs(state, began) { return this.spec.begins.some((name) => state[name] !== began[name]); }

  /** The run that was made beforehand. */
  beforehand(state) {
    const { begun: began, outer_steps: done } = this.spec;
    const [outer, errors] = ["outer", "errors"].map((part) => this.fixed[`begun_${part}`]);
    const many = errors.shape[1];
    const error = Array.from(outer.data, (_, i) => errors.data.subarray(i * many, (i + 1) * many));
    const theta = Object.entries(this.fixed).filter(([name]) => name.startsWith("begun_theta."));
    const last = { done, theta: Object.fromEntries(theta.map(([name, t]) => [name.slice("begun_".length), t])), now: { data: error.at(-1), shape: [many] } };
    return { outer: Array.from(outer.data), error, name: this.named({ ...state, ...began }), last, began };
  }

  /** The name of a run: that of the values it goes on with. */
  named(state) { return filled(this.spec.name, valuesOf(state, {}, this.fields)); }

  start(panel) {
    if (!this.worker) {
      this.worker = worker();
      this.worker.onmessage = ({ data }) => this.heard(data, panel);
      this.worker.postMessage({ begin: this.run.begin });
    }
    this.running = true;
    this.worker.postMessage({ run: true });
  }

  stop() {
    this.running = false;
    this.worker?.postMessage({ run: false });
  }

  heard(report, panel) {
    const { run } = this;
    run.outer.push(report.done);
    run.error.push(report.now.data);
    run.last = report;
    if (report.done >= this.spec.outer_steps) this.running = false;
    if (!this.running) panel.refresh(); // what is slow is asked for, too
    else if (!panel.playing) panel.show(this.frame(panel.state));
  }

  /** The present run's curve, earlier ones, and what theta draws. */
  frame(state) {
    this.shown?.();
    const { run, earlier } = this;
    const lists = Object.entries(state).filter(([, value]) => Array.isArray(value));
    const at = state[this.spec.judged] ?? 0;
    const judged = { outer: (e) => e.outer, error: (e) => e.error.map((row) => row[at]) };
    const longest = Math.max(0, ...earlier.map(({ outer }) => outer.length));
    const filled = (part) => ({
      shape: [earlier.length, longest],
      data: Float32Array.from(earlier.map(judged[part]).flatMap((e) => Array.from({ length: longest }, (_, i) => e[i] ?? e.at(-1)))),
    });
    const list = (values) => ({ data: Float32Array.from(values), shape: [values.length] });
    return {
      ...this.fixed, ...Object.fromEntries(lists.map(([name, value]) => [name, list(value)])), ...run.last,
      ...this.look?.(this.given(state)), outer: list(run.outer), errors: list(judged.error(run)), earlier_outer: filled("outer"),
      earlier_errors: filled("error"), earlier_names: earlier.map((e) => e.name), run_name: run.name,
      done: run.outer.at(-1), last: this.spec.outer_steps, begun: run.error[0][at],
      began: Number(Number.isFinite(run.error[0][at])),
    };
  }

  /** Live fields change the run that is there; all others, or those that say so, begin a new one, which goes on. */
  changed(changes, panel) {
    clearTimeout(this.waiting);
    if (!this.run) return;
    if (this.spec.begins.length) {
      if (this.differs(panel.state, this.run.began)) this.waiting = setTimeout(() => this.begin(panel), REST);
      return;
    }
    const numbers = this.inputs(panel.state);
    if (Object.keys(changes).every((name) => this.spec.live.includes(name)) && this.running) {
      this.worker.postMessage({ tell: numbers });
      this.run.name = this.named(panel.state);
      return;
    }
    this.restart(panel.state);
    this.start(panel);
  }

  /** Begin the run that a state asks for. */
  begin(panel) {
    this.restart(panel.state);
    if (this.run.begin) this.start(panel);
    panel.refresh();
  }

  /** A link opened this state: the run that it asks for goes on by itself, as it did where the link was made. */
  opened(panel) {
    this.compute(panel.state);
    if (this.run.begin) this.start(panel);
  }

  /** Begin anew without earlier runs. */
  reset() { Object.assign(this, { run: null, earlier: [] }); }

  buttons(panel, button) {
    const toggle = button("▶ train", () => {
      if (this.running) this.stop();
      else if (this.run.outer.at(-1) >= this.spec.outer_steps) panel.change({ seed: panel.state.seed + 1 }, "seed");
      else this.start(panel);
      panel.show(this.frame(panel.state));
    }, "main");
    this.shown = () => {
      toggle.textContent = this.running ? "◼ stop" : "▶ train";
      panel.speak(!this.running);
    };
    return [toggle];
  }
}
