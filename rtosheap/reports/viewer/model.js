// A recording and the heaps that replayed it, as arrays; no page here.

const GAP = 0.02; // between two regions, as a share of all bytes
const EARLIER = -2; // in place of a block: one from before the trace

// Blocks of a recording: when each is requested and given back, by whom, and how many bytes: `asked` to
// reckon with, `exact` to say. Ids, times and exact bytes are BigInts where they are large.
async function readRecording(given) {
  const [born, life, id, exact, task, time] = await Promise.all(
    ["born", "end", "id", "asked", "task", "time"].map((name) => given[name] && unpack(given[name])),
  );
  const end = born.map((event, i) => event + life[i]), asked = Float64Array.from(exact, Number);
  return { ...given, born, end, id, asked, exact, task, time, shade: shades(given.tasks.length, task, asked) };
}

const SHADES = 8; // colours of tasks; the last one is that of all others

// A colour's number for each task: those that request most bytes have one of their own.
function shades(count, task, asked) {
  const bytes = new Float64Array(count), found = new Uint8Array(count);
  if (task) task.forEach((t, i) => (bytes[t] += asked[i]));
  const order = Array.from(bytes.keys()).sort((a, b) => bytes[b] - bytes[a]);
  order.forEach((t, rank) => (found[t] = Math.min(rank, SHADES - 1)));
  return found;
}

// Where one heap put them. A block that it refused has no bytes.
async function readView(given, recording) {
  const [offset, more, region, largest, failed, why, refused, blocks, events, ...earlier] =
    await Promise.all([given.offset, given.taken, given.region, given.largest, given.failed, given.why,
      given.refused, ...given.ends, ...given.before].map((packed) => packed && unpack(packed)));
  const taken = recording.asked.map((bytes, i) => bytes + more[i]);
  for (const i of refused) taken[i] = 0;
  const end = given.frees ? recording.end.slice() : recording.born.map(() => recording.events);
  blocks.forEach((block, i) => (end[block] = events[i]));
  const free = typeof given.free === "number"
    ? freeOf(given.free, recording, taken, end) : given.free && (await unpack(given.free));
  const bytes = given.regions.reduce((sum, [, size]) => sum + size, 0);
  const starts = []; // where each region is drawn
  let height = 0;
  for (const [, size] of given.regions) {
    starts.push(height);
    height += size + GAP * bytes;
  }
  height -= GAP * bytes;
  const low = offset.map((at, i) => starts[region ? region[i] : 0] + at);
  const before = Array.from(earlier[0], (at, i) => ({ block: EARLIER, low: starts[at] + earlier[1][i],
    bytes: earlier[2][i] }));
  return { ...given, offset, taken, region, free, largest, failed, why, end, last: lastOf(end), low, starts,
    height, before, recording };
}

// The bytes that are free after each event, where blocks alone make the difference.
function freeOf(total, recording, taken, end) {
  const free = new Float64Array(recording.events + 1);
  taken.forEach((bytes, i) => {
    free[recording.born[i]] -= bytes;
    free[end[i]] += bytes;
  });
  let left = total;
  for (let event = 0; event < recording.events; event++) free[event] = left += free[event];
  return free.subarray(0, recording.events);
}

// The target's address of a place on the map's axis, or null between two regions.
function addressAt(view, place) {
  for (let i = view.starts.length - 1; i >= 0; i--) {
    if (place < view.starts[i]) continue;
    return place < view.starts[i] + view.regions[i][1]
      ? view.regions[i][0] + place - view.starts[i] : null;
  }
  return null;
}

function headerOf(view, i) {
  return view.regions[view.region ? view.region[i] : 0][0] + view.offset[i];
}

// The block that covers a moment and a place, or the nearest one within a tolerance; -1: none.
function blockAt(view, event, place, events = 0, bytes = 0) {
  const { born } = view.recording;
  let found = -1, nearest = Infinity;
  for (let i = 0; i < born.length; i++) {
    if (view.taken[i] === 0) continue;
    const before = Math.max(born[i] - event, event - view.end[i]);
    const below = Math.max(view.low[i] - place, place - view.low[i] - view.taken[i]);
    if (before > events || below > bytes) continue;
    const away = Math.max(before, 0) / (events || 1) + Math.max(below, 0) / (bytes || 1);
    if (away < nearest || (away === nearest && born[i] > born[found])) {
      found = i;
      nearest = away;
    }
  }
  return found;
}

// The blocks that are live after an event, in the order of their places.
function liveAt(view, event) {
  const { born } = view.recording, found = [];
  for (let i = 0; i < born.length && born[i] <= event; i++)
    if (view.taken[i] !== 0 && view.end[i] > event) found.push(i);
  return found.sort((a, b) => view.low[a] - view.low[b]);
}

// The holes after an event in the order of their places, { low, bytes, below, above } each, with the
// blocks beside them (-1: none), and the blocks that keep them apart. null: the heap does not tell.
function holesAt(view, event) {
  if (!view.spans) return null;
  const live = liveAt(view, event).map((block) =>
    ({ block, low: view.low[block], bytes: view.taken[block] }));
  const all = [...view.before, ...live].sort((a, b) => a.low - b.low), holes = [], pins = [];
  view.spans.forEach(([first, end], i) => {
    let at = view.starts[i] + first, below = -1, between = null; // null: no hole yet
    const top = view.starts[i] + end;
    const reach = (low, above) => {
      if (low - at < view.least_hole) return;
      holes.push({ low: at, bytes: low - at, below, above });
      if (between) pins.push(...between);
      between = [];
    };
    for (const { block, low, bytes } of all) {
      if (low < view.starts[i] || low >= top) continue;
      reach(low, block);
      if (between) between.push(block);
      at = low + bytes;
      below = block;
    }
    reach(top, -1);
  });
  return { holes, pins };
}

// Which blocks a filter lets through.
function passing(view, filter) {
  const { born, asked, task } = view.recording;
  const pass = new Uint8Array(born.length);
  for (let i = 0; i < born.length; i++) {
    const life = view.end[i] - born[i];
    pass[i] = asked[i] >= filter.leastSize && asked[i] <= filter.mostSize &&
      life >= filter.leastLife && life <= filter.mostLife &&
      (filter.task < 0 || (task && task[i] === filter.task)) ? 1 : 0;
  }
  return pass;
}

// The first failure after an event, or before it; -1: none.
function nextFailure(view, event) {
  const found = view.failed.find((at) => at > event);
  return found === undefined ? -1 : found;
}

function previousFailure(view, event) {
  let found = -1;
  for (const at of view.failed) if (at < event) found = at;
  return found;
}

// The event that requested a block, or gave it back: { kind, block }; null for one that failed on a
// block that was never served, or did nothing.
function eventAt(view, event) {
  const { born, end } = view.recording;
  let low = 0, high = born.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (born[middle] < event) low = middle + 1;
    else high = middle;
  }
  if (born[low] === event) return { kind: "malloc", block: low };
  const freed = end.indexOf(event);
  return freed < 0 || view.taken[freed] === 0 ? null : { kind: "free", block: freed };
}
