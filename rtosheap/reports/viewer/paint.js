// Blocks as pixels. A pixel is as opaque as it is covered, and has the mean colour of what covers it.

const FEW = 2500; // blocks in sight: each is drawn with an edge

// A colour for each block: an index into a palette of [red, green, blue].
function colouring(view, by, palette) {
  const { born, asked, task } = view.recording;
  if (by === "task" && task) return { index: task.map((t) => view.recording.shade[t]), of: palette.tasks };
  const scale = palette.scale, steps = scale.length - 1;
  const value = by === "lifetime"
    ? (i) => Math.log2(1 + view.end[i] - born[i]) / Math.log2(2 + view.recording.events)
    : (i) => Math.log2(asked[i] / view.leastAsked || 1) / (Math.log2(view.mostAsked / view.leastAsked) || 1);
  return { index: born.map((_, i) => Math.round(value(i) * steps)), of: scale };
}

const CHUNK = 128; // blocks, or events, of which the least and the most are known beforehand

// The last event at which a block of each chunk is live.
function lastOf(end) {
  const last = new Float64Array(Math.ceil(end.length / CHUNK)).fill(-Infinity);
  for (let i = 0; i < end.length; i++) last[(i / CHUNK) | 0] = Math.max(last[(i / CHUNK) | 0], end[i]);
  return last;
}

// Whether any of a block is in sight. A block that was refused has no bytes.
function isInSight({ recording: { born }, end, low, taken }, { x0, x1, y0, y1 }, i) {
  return born[i] < x1 && end[i] > x0 && low[i] < y1 && low[i] + taken[i] > y0 && taken[i] !== 0;
}

let seen = new Uint32Array(0); // kept, for it is large

// The blocks in sight, in the order in which they were requested.
function inSight(view, sight) {
  const { born } = view.recording, { last } = view;
  if (seen.length < born.length) seen = new Uint32Array(born.length);
  let count = 0;
  for (let chunk = 0; chunk < last.length && born[chunk * CHUNK] < sight.x1; chunk++) {
    if (last[chunk] <= sight.x0) continue;
    const behind = Math.min((chunk + 1) * CHUNK, born.length);
    for (let i = chunk * CHUNK; i < behind; i++) if (isInSight(view, sight, i)) seen[count++] = i;
  }
  return seen.subarray(0, count);
}

const pixels = { x0: 0.5, x1: 0.5, y0: 0.5, y1: 0.5 }; // one for all: a million are not allocated

// Where a block is on the map, in pixels.
function place(view, sight, width, height, i) {
  const sx = width / (sight.x1 - sight.x0), sy = height / (sight.y1 - sight.y0);
  pixels.x0 = Math.max((view.recording.born[i] - sight.x0) * sx, 0);
  pixels.x1 = Math.min((view.end[i] - sight.x0) * sx, width);
  pixels.y0 = Math.max((sight.y1 - view.low[i] - view.taken[i]) * sy, 0);
  pixels.y1 = Math.min((sight.y1 - view.low[i]) * sy, height);
  return pixels;
}

// Red, green, blue and cover of each pixel: kept, for they are large. `sums` are those of small blocks;
// `steps` are of large ones how much more there is than one pixel to the left and one above, so that a
// block costs no more than 16 pixels, however large it is.
let sums = null, steps = null;
const SMALL = 16;

function add(buffer, pixel, cover, colour) {
  const at = 4 * pixel;
  buffer[at] += cover * colour[0];
  buffer[at + 1] += cover * colour[1];
  buffer[at + 2] += cover * colour[2];
  buffer[at + 3] += cover;
}

// Where the cover of a line of pixels changes, and by how much; gives how often: 2 or 4 times. What is
// long begins and ends with a whole pixel.
function edges(low, high, at, by) {
  const from = low | 0, to = high | 0, long = to - from > 8;
  if (from === to || long) {
    at[0] = long ? Math.round(low) : from;
    at[1] = long ? Math.round(high) : from + 1;
    by[1] = -(by[0] = long ? 1 : high - low);
    return 2;
  }
  at[1] = (at[0] = from) + 1;
  at[3] = (at[2] = to) + 1;
  by[1] = 1 - (by[0] = from + 1 - low);
  by[2] = -1 - (by[3] = to - high);
  return 4;
}
const atX = [0, 0, 0, 0], byX = [0, 0, 0, 0], atY = [0, 0, 0, 0], byY = [0, 0, 0, 0];

// Gives the number of pixels that were written for blocks.
function paintMany(context, view, sight, blocks, width, height, colours, pass, palette) {
  const size = 4 * width * height, wide = width + 2; // room for the steps behind the last pixel
  if (!sums || sums.length !== size) {
    sums = new Float32Array(size);
    steps = new Float64Array(4 * wide * (height + 2));
  } else {
    sums.fill(0);
    steps.fill(0);
  }
  let writes = 0;
  for (const i of blocks) {
    const { x0, x1, y0, y1 } = place(view, sight, width, height, i);
    const colour = pass[i] ? colours.of[colours.index[i]] : palette.dim;
    const firstX = x0 | 0, firstY = y0 | 0;
    const lastX = Math.min(x1 | 0, width - 1), lastY = Math.min(y1 | 0, height - 1);
    if (firstX === lastX && firstY === lastY) { // most blocks, where there are many
      add(sums, lastY * width + lastX, (x1 - x0) * (y1 - y0), colour);
      writes++;
    } else if ((lastX - firstX + 1) * (lastY - firstY + 1) <= SMALL) {
      for (let y = firstY; y <= lastY; y++) {
        const tall = Math.min(y1, y + 1) - Math.max(y0, y);
        for (let x = firstX; x <= lastX; x++, writes++)
          add(sums, y * width + x, tall * (Math.min(x1, x + 1) - Math.max(x0, x)), colour);
      }
    } else {
      const across = edges(x0, x1, atX, byX), down = edges(y0, y1, atY, byY);
      for (let j = 0; j < down; j++)
        for (let k = 0; k < across; k++, writes++)
          add(steps, atY[j] * wide + atX[k], byY[j] * byX[k], colour);
    }
  }
  const image = context.createImageData(width, height), data = image.data, free = palette.free;
  for (let y = 0, at = 0; y < height; y++) {
    let above = 4 * (y - 1) * wide, here = above + 4 * wide;
    const line = [0, 0, 0, 0]; // the sum of this row's steps so far
    for (let x = 0; x < width; x++, at += 4, here += 4, above += 4) {
      for (let c = 0; c < 4; c++) {
        line[c] += steps[here + c];
        steps[here + c] = line[c] + (y ? steps[above + c] : 0);
      }
      const cover = sums[at + 3] + steps[here + 3];
      const left = Math.max(1 - cover, 0), all = Math.max(cover, 1);
      for (let c = 0; c < 3; c++)
        data[at + c] = (sums[at + c] + steps[here + c]) / all + free[c] * left;
      data[at + 3] = 255;
    }
  }
  context.putImageData(image, 0, 0);
  return writes;
}

function paintFew(context, view, sight, blocks, width, height, colours, pass, palette) {
  context.fillStyle = `rgb(${palette.free})`;
  context.fillRect(0, 0, width, height);
  context.lineWidth = 1;
  context.strokeStyle = palette.edge;
  for (const i of blocks) {
    const { x0, x1, y0, y1 } = place(view, sight, width, height, i);
    context.fillStyle = `rgb(${pass[i] ? colours.of[colours.index[i]] : palette.dim})`;
    context.fillRect(x0, y0, Math.max(x1 - x0, 1), Math.max(y1 - y0, 1));
    if (x1 - x0 > 3 && y1 - y0 > 3) context.strokeRect(x0 + 0.5, y0 + 0.5, x1 - x0 - 1, y1 - y0 - 1);
  }
  return blocks.length;
}

function paintMap(context, view, sight, width, height, colours, pass, palette) {
  const blocks = inSight(view, sight), paint = blocks.length <= FEW ? paintFew : paintMany;
  const writes = paint(context, view, sight, blocks, width, height, colours, pass, palette);
  const sy = height / (sight.y1 - sight.y0);
  context.fillStyle = `rgb(${palette.dim})`;
  for (const { low, bytes } of view.before)
    context.fillRect(0, (sight.y1 - low - bytes) * sy, width, bytes * sy);
  context.fillStyle = palette.gap; // between regions nothing is
  for (let i = 1; i < view.starts.length; i++) {
    const bottom = view.starts[i - 1] + view.regions[i - 1][1], top = view.starts[i];
    context.fillRect(0, (sight.y1 - top) * sy, width, (top - bottom) * sy);
  }
  return writes;
}

// A line's values, with the least and the most of each chunk.
function lineOf(values) {
  const chunks = Math.ceil(values.length / CHUNK);
  const least = new Float64Array(chunks).fill(Infinity), most = new Float64Array(chunks).fill(-Infinity);
  for (let event = 0; event < values.length; event++) {
    const chunk = (event / CHUNK) | 0, value = values[event];
    if (value < least[chunk]) least[chunk] = value;
    if (value > most[chunk]) most[chunk] = value;
  }
  return { values, least, most };
}

// Lines below the map: of each pixel's events the least and the most.
function paintLine(context, line, sight, width, height, top) {
  const coarse = (sight.x1 - sight.x0) / width > 2 * CHUNK, each = coarse ? CHUNK : 1;
  const low = coarse ? line.least : line.values, high = coarse ? line.most : line.values;
  const sx = width / (sight.x1 - sight.x0), y = (value) => height - (value / top) * (height - 4) - 2;
  const first = Math.max(Math.floor(sight.x0 / each), 0);
  const last = Math.min(Math.ceil(sight.x1 / each), low.length);
  let pixel = -1, least = 0, most = 0;
  context.beginPath();
  const flush = () => {
    context.lineTo(pixel, y(least)); // the first one only moves there
    if (most !== least) context.lineTo(pixel, y(most));
  };
  for (let at = first; at < last; at++) {
    const x = Math.round(((at + 0.5) * each - sight.x0) * sx);
    if (x !== pixel) {
      if (pixel >= 0) flush();
      pixel = x;
      least = low[at];
      most = high[at];
    } else {
      if (low[at] < least) least = low[at];
      if (high[at] > most) most = high[at];
    }
  }
  if (pixel >= 0) flush();
  context.stroke();
}

// A thin line at each event that failed, at most one in three pixels.
function paintFailures(context, failed, sight, width, height, colour) {
  context.globalAlpha = 0.4;
  context.fillStyle = colour;
  for (const x of marks(failed, sight, width)) context.fillRect(x, 0, 1, height);
  context.globalAlpha = 1;
}

// Where to mark events, in pixels, three of them apart at least.
function marks(events, sight, width) {
  const sx = width / (sight.x1 - sight.x0), found = [];
  for (const event of events) {
    const x = (event + 0.5 - sight.x0) * sx;
    if (x >= 0 && x <= width && !(x - found.at(-1) < 3)) found.push(x);
  }
  return found;
}

function paintLines(context, lines, sight, width, height) {
  context.lineWidth = 1.5;
  for (const { line, top, colour, dash } of lines) {
    context.strokeStyle = colour;
    context.setLineDash(dash);
    paintLine(context, line, sight, width, height, top);
  }
  context.setLineDash([]);
}

// Round numbers between two, some six of them.
function ticks(low, high, base) {
  const rough = (high - low) / 6, power = base ** Math.floor(Math.log(rough) / Math.log(base));
  const factors = base === 10 ? [1, 2, 5, 10] : [1, 2, 4, 8, 16];
  const step = Math.max(power * factors.find((factor) => power * factor >= rough), 1), found = [];
  for (let at = Math.ceil(low / step) * step; at < high; at += step) found.push(at);
  return found;
}

function label(context, text, x, y, palette) {
  context.lineWidth = 4;
  context.strokeStyle = palette.paper;
  context.strokeText(text, x, y);
  context.fillStyle = palette.ink;
  context.fillText(text, x, y);
}

// Addresses at the left edge of the map.
function paintAddresses(context, view, sight, width, height, palette, scale) {
  context.font = `${11 * scale}px system-ui, sans-serif`;
  context.textAlign = "left";
  context.textBaseline = "middle";
  const sy = height / (sight.y1 - sight.y0);
  view.regions.forEach(([address, size], i) => {
    const low = Math.max(sight.y0 - view.starts[i], 0), high = Math.min(sight.y1 - view.starts[i], size);
    if (high <= low) return;
    for (const at of ticks(address + low, address + high, 16)) {
      const y = (sight.y1 - view.starts[i] - at + address) * sy;
      if (y > 8 * scale && y < height - 8 * scale)
        label(context, `0x${at.toString(16).padStart(8, "0")}`, 5 * scale, y, palette);
    }
  });
}

// What the top and the foot of the lines stand for: bytes at the left, a share at the right.
function paintScales(context, most, share, width, height, palette, scale) {
  context.font = `${11 * scale}px system-ui, sans-serif`;
  context.textBaseline = "top";
  context.textAlign = "left";
  if (most) label(context, most, 5 * scale, 4 * scale, palette);
  context.textAlign = "right";
  if (share) label(context, share, width - 5 * scale, 4 * scale, palette);
}

// Events at the lower edge of the lines.
function paintEvents(context, sight, width, height, palette, scale, text) {
  context.font = `${11 * scale}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "bottom";
  const sx = width / (sight.x1 - sight.x0);
  for (const at of ticks(sight.x0, sight.x1, 10)) {
    const x = (at - sight.x0) * sx;
    if (x > 20 * scale && x < width - 30 * scale) label(context, text(at), x, height - 2, palette);
  }
}
