// Where a panel lives: a cell of JupyterLab (anywidget calls `render`), or any element of a page (`mount`).
import { followLinks } from "./landing.js";
import { Panel } from "./panel.js";
import { aligned, arraysOf, inputsOf, KernelSource, ProgramSource } from "./sources.js";
import { TrainingSource } from "./training.js";

function makeSource(spec, arrays, model) {
  if (spec.runs) return new TrainingSource(spec, arraysOf(spec.constants, arrays), inputsOf);
  return spec.program ? new ProgramSource(spec, arrays) : new KernelSource(spec, arrays, model);
}

const NOBODY = { state: {}, save() {} };

/** Open an explorer in an element of a page, as its `panel`. `arrays` are the bytes of all its arrays, `kernel` what answers, if any. */
export function mount(element, spec, arrays, kernel = null, host = NOBODY) {
  element.panel = new Panel(element, spec, makeSource(spec, arrays, kernel), host);
  return element.panel;
}

/** anywidget's door: the fields of the state are traits of the model. */
function render({ model, el }) {
  followLinks();
  const spec = JSON.parse(model.get("_spec"));
  const names = Object.keys(spec.state);
  const read = () => Object.fromEntries(names.map((name) => [name, model.get(name)]));
  let own = null; // the state that we sent ourselves: its echo is no news
  const host = {
    state: read(),
    save(state) {
      own = JSON.stringify(state);
      for (const name of names) model.set(name, state[name]);
      try { model.save_changes(); } catch { /* the kernel is gone: the panel goes on without it */ }
    },
  };
  const panel = new Panel(el, spec, makeSource(spec, aligned(model.get("_arrays")), model), host);
  el.panel = panel;
  const changed = () => {
    const state = read();
    if (JSON.stringify(state) !== own && JSON.stringify(state) !== JSON.stringify(panel.state)) panel.take(state);
    own = null;
  };
  for (const name of names) model.on(`change:${name}`, changed);
  return () => {
    for (const name of names) model.off(`change:${name}`, changed);
    panel.close();
  };
}

export const widget = { render };
