// The page: what is shown, and what the hand does.

(async () => {
  const element = (name) => document.getElementById(name);
  const given = JSON.parse(element("data").textContent);
  given.days = given.days.filter((day) => day.events > 0 && day.views.length > 0);
  if (given.days.length === 0) {
    element("section").replaceChildren("There is nothing to draw: no event, or no heap of that size.");
    document.body.dataset.ready = "yes";
    return;
  }
  const map = element("map"), over = element("over"), lines = element("lines");
  const number = new Intl.NumberFormat("en");
  const bytes = (n) => `${number.format(n)} B`;
  const count = (n, what) => `${number.format(n)} ${what}${n === 1 ? "" : "s"}`;
  const hex = (n) => "0x" + n.toString(16).padStart(8, "0");
  const state = { day: 0, heap: 0, cursor: 0, pinned: -1, hover: -1, sight: null, by: "size",
    filter: { leastSize: 0, mostSize: Infinity, leastLife: 0, mostLife: Infinity, task: -1 } };
  const read = new Map(); // views that were unpacked
  let view, colours, pass, palette;

  // ---- colours of the page's style sheet

  function rgb(name) {
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color.match(/\d+/g).slice(0, 3).map(Number);
    probe.remove();
    return found;
  }

  function between(stops, count) {
    return Array.from({ length: count }, (_, i) => {
      const at = (i / (count - 1)) * (stops.length - 1), low = Math.min(Math.floor(at), stops.length - 2);
      return stops[low].map((c, k) => Math.round(c + (at - low) * (stops[low + 1][k] - c)));
    });
  }

  function readPalette() {
    const stops = [0, 1, 2, 3].map((i) => rgb(`--scale-${i}`));
    palette = { free: rgb("--free"), dim: rgb("--dim"), gap: `rgb(${rgb("--gap")})`,
      edge: `rgb(${rgb("--free")})`, paper: `rgb(${rgb("--paper")})`, ink: `rgb(${rgb("--ink")})`, failed: `rgb(${rgb("--failed")})`,
      lines: [0, 1, 2].map((i) => `rgb(${rgb(`--line-${i}`)})`), scale: between(stops, 32),
      tasks: Array.from({ length: SHADES }, (_, i) => rgb(`--task-${i}`)) };
  }

  // ---- what is looked at

  let turns = 0;
  async function choose(day, heap) {
    const turn = ++turns;
    const key = `${day} ${heap}`;
    if (!read.has(key)) {
      const recordingKey = `day ${day}`;
      if (!read.has(recordingKey)) read.set(recordingKey, await readRecording(given.days[day]));
      const made = await readView(given.days[day].views[heap], read.get(recordingKey));
      made.mostAsked = made.recording.asked.reduce((a, b) => Math.max(a, b), 1);
      made.leastAsked = made.recording.asked.reduce((a, b) => (b > 0 ? Math.min(a, b) : a), made.mostAsked);
      made.most = (made.free || made.largest || []).reduce((a, b) => Math.max(a, b), 1);
      made.fragmentation = made.free && made.largest
        && made.free.map((n, i) => (n > 0 ? 1 - made.largest[i] / n : 0));
      made.lines = [made.free, made.largest, made.fragmentation].map((one) => one && lineOf(one));
      read.set(key, made);
    }
    if (turn !== turns) return; // something else was chosen meanwhile
    const sameDay = view && state.day === day;
    Object.assign(state, { day, heap, hover: -1 });
    view = read.get(key);
    if (!sameDay) {
      Object.assign(state, { cursor: Math.min(state.cursor, view.recording.events - 1), pinned: -1 });
      fillTasks();
    }
    const span = sameDay ? state.sight : { x0: 0, x1: view.recording.events };
    state.sight = { x0: span.x0, x1: span.x1, y0: 0, y1: view.height };
    element("cursor").max = view.recording.events - 1;
    view.lines.forEach((line, i) => (element(`line-${i}`).hidden = !line));
    recolour();
  }

  function recolour() {
    colours = colouring(view, state.by, palette);
    pass = passing(view, state.filter);
    const all = pass.length, through = pass.reduce((a, b) => a + b, 0);
    element("passing").textContent = through === all
      ? count(all, "block") : `${number.format(through)} of ${count(all, "block")}`;
    element("legend").replaceChildren(...legend());
    paint();
  }

  // What the colours stand for.
  function legend() {
    const key = (colour, text) => {
      const line = document.createElement("span"), box = document.createElement("i");
      box.style.background = colour;
      line.append(box, text);
      return line;
    };
    const { recording } = view, found = [];
    if (state.by === "task" && recording.task) {
      const names = Array.from({ length: SHADES }, () => []);
      recording.tasks.forEach((name, i) => names[recording.shade[i]].push(name || "no task"));
      names.forEach((some, i) =>
        some.length && found.push(key(`rgb(${palette.tasks[i]})`, some.join(", "))));
    } else {
      const ends = state.by === "lifetime" ? `lifetime, 0 to ${count(recording.events, "event")}`
        : `requested, ${number.format(view.leastAsked)} to ${bytes(recording.exact.reduce((a, b) => (b > a ? b : a), 1))}`;
      const scale = [0, 1, 2, 3].map((i) => `var(--scale-${i})`).join(", ");
      const ramp = key(`linear-gradient(to right, ${scale})`, `${ends}, logarithmic`);
      ramp.className = "ramp";
      found.push(ramp);
    }
    found.push(key("var(--free)", view.spans ? "free" : "free, or not told"));
    if (view.before.length) found.push(key("var(--dim)", "from before the trace"));
    return found;
  }

  function fillTasks() {
    const names = view.recording.tasks, select = element("task");
    state.filter.task = -1;
    select.replaceChildren(new Option("every task", "-1"));
    names.forEach((name, i) => select.add(new Option(name || "no task", i)));
    element("task-label").hidden = names.length === 0;
    element("by").querySelector("[value=task]").disabled = names.length === 0;
  }

  // ---- drawing

  function fit(canvas) {
    const scale = window.devicePixelRatio || 1;
    const width = Math.max(Math.round(canvas.clientWidth * scale), 1);
    const height = Math.max(Math.round(canvas.clientHeight * scale), 1);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    return canvas.getContext("2d");
  }

  let due = false;
  function paint() {
    if (due) return;
    due = true;
    requestAnimationFrame(paintNow);
  }

  function paintNow() {
    due = false;
    const start = performance.now();
    const scale = window.devicePixelRatio || 1;
    const writes = paintMap(fit(map), view, state.sight, map.width, map.height, colours, pass, palette);
    const context = fit(lines), { width, height } = lines;
    context.clearRect(0, 0, width, height);
    paintFailures(context, view.failed, state.sight, width, height, palette.failed);
    paintLines(context, view.lines.map((line, i) => ({ line, top: i < 2 ? view.most : 1,
      colour: palette.lines[i], dash: [[], [6, 3], [2, 2]][i] })).filter(({ line }) => line),
      state.sight, width, height);
    paintEvents(context, state.sight, width, height, palette, scale, number.format);
    paintScales(context, (view.free || view.largest) && bytes(view.most),
      view.fragmentation && "1 (fragmentation)", width, height, palette, scale);
    map.dataset.writes = writes;
    map.dataset.sight = JSON.stringify(state.sight);
    map.dataset.milliseconds = performance.now() - start;
    map.dataset.frames = Number(map.dataset.frames || 0) + 1;
    paintOver();
  }

  function box(context, i, colour) {
    if (!isInSight(view, state.sight, i)) return;
    const { x0, x1, y0, y1 } = place(view, state.sight, map.width, map.height, i);
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.strokeRect(x0 - 1, y0 - 1, Math.max(x1 - x0, 1) + 2, Math.max(y1 - y0, 1) + 2);
  }

  // The cursor, what is pinned or under the pointer, and failures.
  function paintOver() {
    const context = fit(over), { sight } = state;
    const sx = map.width / (sight.x1 - sight.x0), sy = map.height / (sight.y1 - sight.y0);
    context.clearRect(0, 0, over.width, over.height);
    const scale = window.devicePixelRatio || 1;
    paintAddresses(context, view, sight, map.width, map.height, palette, scale);
    context.strokeStyle = palette.ink;
    context.lineWidth = 1;
    const x = Math.round((state.cursor + 0.5 - sight.x0) * sx) + 0.5;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, over.height);
    context.stroke();
    context.fillStyle = palette.failed;
    for (const at of marks(view.failed, sight, map.width)) {
      context.beginPath();
      context.moveTo(at - 5, 0);
      context.lineTo(at + 5, 0);
      context.lineTo(at, 9);
      context.fill();
    }
    const found = view.failed.includes(state.cursor) ? holesAt(view, state.cursor) : null;
    if (found) {
      context.strokeStyle = palette.failed;
      for (const { low, bytes: size } of found.holes)
        context.strokeRect(x - 4, (sight.y1 - low - size) * sy, 8, size * sy);
      context.fillStyle = palette.ink;
      for (const i of found.pins)
        if (i >= 0) context.fillRect(x - 2, (sight.y1 - view.low[i] - view.taken[i]) * sy, 4,
          Math.max(view.taken[i] * sy, 1));
    }
    sayHoles(found);
    if (state.hover >= 0) box(context, state.hover, palette.ink);
    if (state.pinned >= 0) {
      context.setLineDash([3, 3]);
      for (const i of beside(state.pinned)) if (i >= 0) box(context, i, palette.ink);
      context.setLineDash([]);
      box(context, state.pinned, palette.failed);
    }
    say();
  }

  // ---- words

  function nameOf(i) {
    const { recording } = view, born = recording.born[i], end = view.end[i];
    const task = recording.task && recording.tasks[recording.task[i]];
    const span = recording.time && end < recording.events
      ? ` (${number.format(recording.time[end] - recording.time[born])} ${recording.time_unit})` : "";
    const life = end < recording.events
      ? `given back at event ${number.format(end)}, after ${count(end - born, "event")}${span}`
      : "never given back";
    const taken = !view.tells_taken ? ""
      : `, ${bytes(view.taken[i])} taken${view.header ? ", header included" : ""}`;
    return `block ${recording.id[i]} at ${hex(headerOf(view, i))}: ${bytes(recording.exact[i])} `
      + `requested${taken}; born at event ${number.format(born)}${task ? ` in ${task}` : ""}, ${life}`;
  }

  // The blocks below and above a block, while the cursor is in its life, else when it is nearest.
  function beside(i) {
    const event = Math.min(Math.max(state.cursor, view.recording.born[i]), view.end[i] - 1);
    const live = liveAt(view, event), at = live.indexOf(i);
    return [at > 0 ? live[at - 1] : -1, at + 1 < live.length ? live[at + 1] : -1];
  }

  function neighbours(i) {
    const [below, above] = beside(i);
    const say = (j, gap) => (j < 0 ? "no block" : `block ${view.recording.id[j]}`)
      + (j >= 0 && gap > 0 && view.spans ? ` behind ${bytes(gap)} that are free` : "");
    const gapBelow = below < 0 ? 0 : view.low[i] - view.low[below] - view.taken[below];
    const gapAbove = above < 0 ? 0 : view.low[above] - view.low[i] - view.taken[i];
    return `below it lies ${say(below, gapBelow)}, above it ${say(above, gapAbove)}`;
  }

  const MOST_HOLES = 12;

  // At a failure: the holes, and the blocks that keep them apart.
  function sayHoles(found) {
    element("holes").hidden = !found;
    if (!found) return;
    const { holes, pins } = found, sizes = holes.map((hole) => hole.bytes);
    const all = sizes.reduce((a, b) => a + b, 0);
    element("holes-text").textContent = `${count(holes.length, "hole")} of ${bytes(all)} together, the `
      + `largest of ${bytes(Math.max(0, ...sizes))}; ${count(pins.length, "live block")} between them.`
      + (view.blur ? ` All within ${bytes(view.blur)}: padding is not recorded.` : "")
      + (holes.length > MOST_HOLES ? ` The largest ${MOST_HOLES}:` : "");
    const name = (i) => {
      if (i < 0) return i === EARLIER ? "from before the trace" : "none";
      const { recording } = view, task = recording.task && recording.tasks[recording.task[i]];
      return `block ${recording.id[i]}, ${bytes(recording.exact[i])}${task ? `, ${task}` : ""}, `
        + `since event ${number.format(recording.born[i])}`;
    };
    const largest = [...holes].sort((a, b) => b.bytes - a.bytes).slice(0, MOST_HOLES);
    element("holes-rows").replaceChildren(...largest.map((hole) => {
      const row = document.createElement("tr");
      for (const text of [hex(addressAt(view, hole.low)), bytes(hole.bytes), name(hole.below),
        name(hole.above)]) {
        const cell = document.createElement("td");
        cell.textContent = text;
        row.append(cell);
      }
      return row;
    }));
  }

  function say() {
    const { recording } = view, event = state.cursor;
    const found = eventAt(view, event), failed = view.failed.indexOf(event);
    const time = recording.time ? ` (${number.format(recording.time[event])} ${recording.time_unit})` : "";
    let what = `event ${number.format(event)}${time}`;
    if (failed >= 0)
      what += `: ${bytes(recording.exact[found.block])} refused`
        + (view.why ? `, ${view.reasons[view.why[failed]]}` : "");
    else if (found && found.kind === "malloc") what += `: ${bytes(recording.exact[found.block])} requested`;
    else if (found) what += `: block ${recording.id[found.block]} given back`;
    const amounts = [];
    if (view.free) amounts.push(`free ${bytes(view.free[event])}`);
    if (view.largest) amounts.push(`largest free block ${bytes(view.largest[event])}`);
    if (view.fragmentation)
      amounts.push(`fragmentation ${(100 * view.fragmentation[event]).toFixed(1)}\u00a0%`);
    element("now").textContent = [what, ...amounts].join(", ").replace(", free ", ". Free ") + ".";
    element("cursor").value = event;
    element("cursor").setAttribute("aria-valuetext", what);
    element("pointed").textContent = state.hover >= 0 ? nameOf(state.hover) : "";
    element("pinned").textContent = state.pinned < 0 ? ""
      : `Pinned: ${nameOf(state.pinned)}; ${neighbours(state.pinned)}.`;
    element("failures").textContent = view.failed.length
      ? `${number.format(view.failed.length)} failed` : "none failed";
    element("previous").disabled = previousFailure(view, event) < 0;
    element("next").disabled = nextFailure(view, event) < 0;
  }

  // ---- the hand

  function moveTo(event) {
    const last = view.recording.events - 1, { sight } = state;
    state.cursor = Math.min(Math.max(Math.round(event), 0), last);
    if (state.cursor < sight.x0 || state.cursor >= sight.x1) {
      const half = (sight.x1 - sight.x0) / 2;
      look(state.cursor - half, state.cursor + half, sight.y0, sight.y1);
    } else paintOver();
  }

  function look(x0, x1, y0, y1) {
    const keep = (low, high, most, least) => {
      const span = Math.min(Math.max(high - low, least), most);
      const from = Math.min(Math.max(low, 0), most - span);
      return [from, from + span];
    };
    const events = Math.max(view.recording.events, 1);
    const [a, b] = keep(x0, x1, events, Math.min(8, events));
    const [c, d] = keep(y0, y1, view.height, Math.min(32, view.height));
    state.sight = { x0: a, x1: b, y0: c, y1: d };
    paint();
  }

  function zoom(factor, x = 0.5, y = 0.5, both = true) {
    const { x0, x1, y0, y1 } = state.sight;
    const event = x0 + x * (x1 - x0), place = y1 - y * (y1 - y0), other = both ? factor : 1;
    look(event - x * (x1 - x0) * factor, event + (1 - x) * (x1 - x0) * factor,
      place - (1 - y) * (y1 - y0) * other, place + y * (y1 - y0) * other);
  }

  function at(mouse) {
    const frame = map.getBoundingClientRect(), { sight } = state;
    const x = (mouse.clientX - frame.left) / frame.width, y = (mouse.clientY - frame.top) / frame.height;
    return { x, y, event: sight.x0 + x * (sight.x1 - sight.x0), place: sight.y1 - y * (sight.y1 - sight.y0),
      events: (2 * (sight.x1 - sight.x0)) / frame.width, bytes: (2 * (sight.y1 - sight.y0)) / frame.height };
  }

  const under = (mouse) => {
    const { event, place, events, bytes: tolerance } = at(mouse);
    return blockAt(view, event, place, events, tolerance);
  };

  let drag = null;
  over.addEventListener("pointerdown", (mouse) => {
    over.setPointerCapture(mouse.pointerId);
    drag = { from: at(mouse), sight: { ...state.sight }, moved: false };
  });
  over.addEventListener("pointermove", (mouse) => {
    const now = at(mouse);
    if (drag && (Math.abs(now.x - drag.from.x) > 0.005 || Math.abs(now.y - drag.from.y) > 0.01)) {
      const { x0, x1, y0, y1 } = drag.sight;
      const dx = (now.x - drag.from.x) * (x1 - x0), dy = (now.y - drag.from.y) * (y1 - y0);
      drag.moved = true;
      look(x0 - dx, x1 - dx, y0 + dy, y1 + dy);
    } else if (!drag) {
      state.hover = under(mouse);
      paintOver();
    }
  });
  over.addEventListener("pointerup", (mouse) => {
    if (drag && !drag.moved) {
      state.pinned = under(mouse);
      moveTo(Math.floor(at(mouse).event));
    }
    drag = null;
  });
  over.addEventListener("pointercancel", () => { drag = null; });
  over.addEventListener("pointerleave", () => {
    state.hover = -1;
    paintOver();
  });
  over.addEventListener("wheel", (wheel) => {
    wheel.preventDefault();
    const { x, y } = at(wheel);
    zoom(Math.exp(wheel.deltaY / 400), x, y, !wheel.shiftKey);
  }, { passive: false });

  const keys = {
    ArrowLeft: (key) => moveTo(state.cursor - (key.shiftKey ? step() : 1)),
    ArrowRight: (key) => moveTo(state.cursor + (key.shiftKey ? step() : 1)),
    Home: () => moveTo(0),
    End: () => moveTo(view.recording.events - 1),
    "+": () => zoom(0.5, ...centre()),
    "-": () => zoom(2, ...centre()),
    0: () => look(0, view.recording.events, 0, view.height),
    n: () => jump(nextFailure(view, state.cursor)),
    p: () => jump(previousFailure(view, state.cursor)),
    Enter: () => pin(eventAt(view, state.cursor)?.block ?? -1),
    ArrowUp: () => state.pinned >= 0 && pin(beside(state.pinned)[1]),
    ArrowDown: () => state.pinned >= 0 && pin(beside(state.pinned)[0]),
    Escape: () => { state.pinned = -1; paintOver(); },
  };
  const pin = (i) => {
    if (i >= 0 && view.taken[i] > 0) state.pinned = i;
    paintOver();
  };
  const step = () => Math.max(Math.round((state.sight.x1 - state.sight.x0) / 20), 1);
  const centre = () => { // the cursor, and what is pinned
    const { x0, x1, y0, y1 } = state.sight, i = state.pinned;
    const y = i < 0 ? 0.5 : (y1 - view.low[i] - view.taken[i] / 2) / (y1 - y0);
    return [(state.cursor + 0.5 - x0) / (x1 - x0), y];
  };
  const jump = (event) => event >= 0 && moveTo(event);
  over.addEventListener("keydown", (key) => {
    if (key.ctrlKey || key.metaKey || key.altKey || !keys[key.key]) return;
    key.preventDefault();
    keys[key.key](key);
  });

  element("cursor").addEventListener("input", (event) => moveTo(Number(event.target.value)));
  for (const [name, what] of Object.entries({ next: "n", previous: "p", in: "+", out: "-", whole: "0" }))
    element(name).addEventListener("click", () => keys[what]({}));
  element("by").addEventListener("change", (event) => { state.by = event.target.value; recolour(); });
  element("task").addEventListener("change", (event) => {
    state.filter.task = Number(event.target.value);
    recolour();
  });
  for (const name of ["leastSize", "mostSize", "leastLife", "mostLife"])
    element(name).addEventListener("input", (event) => {
      const none = name.startsWith("most") ? Infinity : 0;
      state.filter[name] = event.target.value === "" ? none : Number(event.target.value);
      recolour();
    });
  const heapNames = (day) => given.days[day].views.map((one) => `${one.heap}, ${bytes(one.size)}`);
  const fillHeaps = () => element("heap").replaceChildren(
    ...heapNames(state.day).map((name, i) => new Option(name, i, i === state.heap, i === state.heap)));
  element("heap").addEventListener("change", (event) => choose(state.day, Number(event.target.value)));
  element("day").addEventListener("change", async (event) => {
    const day = Number(event.target.value);
    await choose(day, Math.min(state.heap, given.days[day].views.length - 1));
    fillHeaps();
  });
  given.days.forEach((day, i) => element("day").add(new Option(day.name, i)));
  element("day-label").hidden = given.days.length < 2;
  new ResizeObserver(() => view && paint()).observe(map);
  const restyle = () => {
    readPalette();
    recolour();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
  for (const name of ["beforeprint", "afterprint"]) // paper is light
    addEventListener(name, () => {
      document.documentElement.classList.toggle("paper", name === "beforeprint");
      if (name === "beforeprint") for (const list of document.querySelectorAll("details")) list.open = true;
      restyle();
      paintNow();
    });

  readPalette();
  await choose(0, Math.max(given.days[0].views.findIndex((one) => one.heap === given.best), 0));
  fillHeaps();
  if (view.failed.length) moveTo(view.failed[0]);
  document.body.dataset.ready = "yes";
})();
